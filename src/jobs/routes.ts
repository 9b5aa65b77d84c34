import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Refusal } from '../formats/refusal.ts';
import { EventQuery, endOfService, sendEvents, startOfStream } from '../http/event-stream.ts';
import { cursorList, cursorListOf, listOf } from '../http/list-schema.ts';
import { orEventStream } from '../http/openapi/answers.ts';
import type { Services } from '../services.ts';
import { cancelJob } from './cancel.ts';
import { createJob } from './create.ts';
import { deleteJob } from './delete.ts';
import { findJob } from './find.ts';
import { followEvents } from './follow.ts';
import { pauseJob } from './pause.ts';
import { asRequest } from './posted-again.ts';
import { resumeJob } from './resume.ts';
import { CheckpointObject, CheckpointQuery, CreateJob, EventObject, JobDeleted, JobObject, JobParams, JobQuery, METADATA_PAIRS } from './schema.ts';
import { checkpointView, eventView, jobView } from './view.ts';

const tags = ['Fine-tuning'];
const JobList = listOf(JobObject);
const EventList = listOf(EventObject);
const CheckpointList = cursorListOf(CheckpointObject);

/** What a user does to a job, with an empty body; the answer is the job. */
const ACTIONS = [
  { name: 'cancel', operationId: 'cancelFineTuningJob', done: 'cancelled', act: cancelJob, summary: 'Cancel a fine-tuning job' },
  {
    name: 'pause',
    operationId: 'pauseFineTuningJob',
    done: 'paused',
    act: pauseJob,
    summary: 'Pause a fine-tuning job',
    description: 'The status is `paused` at once; a worker that trains the job finishes the current step and writes a checkpoint.',
  },
  {
    name: 'resume',
    operationId: 'resumeFineTuningJob',
    done: 'resumed',
    act: resumeJob,
    summary: 'Resume a paused or failed fine-tuning job',
    description: 'It waits for a worker and resumes from its newest checkpoint, or starts from the beginning if it has none.',
  },
];

/** `/v1/fine_tuning/jobs`: create, inspect, pause, resume, cancel, delete */
export const jobRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { jobs, jobRecord } = services;
  const signal = endOfService(app);

  app.post(
    '/fine_tuning/jobs',
    {
      schema: {
        tags,
        operationId: 'createFineTuningJob',
        summary: 'Create a fine-tuning job',
        description:
          'A client that lost the answer may post again: with an `Idempotency-Key`, or, as the official clients do by themselves, with `x-stainless-retry-count` and the same body within a quarter of an hour. It then gets the first job. A job as GET shows it is also a request: what only the service writes, such as `id` and `status`, then has no effect.',
        body: CreateJob,
        response: { 200: JobObject },
      },
      config: { recognisesRetries: true },
      preValidation: async (request) => {
        request.body = asRequest(request.body) as typeof request.body;
      },
    },
    async (request) => {
      const { body, bodyText, claim } = request;
      const job = await createJob(request.principal, { body, bodyText, claim: claim?.id }, services);
      request.log.info({ jobId: job.id, model: job.model }, 'job created');
      return jobView(job);
    },
  );

  app.get(
    '/fine_tuning/jobs',
    {
      schema: {
        tags,
        operationId: 'listPaginatedFineTuningJobs',
        summary: 'List fine-tuning jobs',
        description: 'Newest first; filter with `metadata[key]=value`.',
        querystring: JobQuery,
        response: { 200: JobList },
      },
    },
    async ({ principal, query }) => {
      const { data, hasMore } = await jobs.list(principal.project, {
        limit: query.limit,
        ...(query.after !== undefined && { after: query.after }),
        ...(query.dry_run !== undefined && { dryRun: query.dry_run }),
        ...(query.sweep_id !== undefined && { sweepId: query.sweep_id }),
        ...metadataFilter(query),
      });
      return { object: 'list' as const, data: data.map((job) => jobView(job)), has_more: hasMore };
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id',
    {
      schema: { tags, operationId: 'retrieveFineTuningJob', summary: 'Retrieve a fine-tuning job', params: JobParams, response: { 200: JobObject } },
    },
    async ({ principal, params }) => {
      const job = await findJob(principal, params.job_id, services);
      const isWaiting = job.workerId === null && (job.status === 'validating_files' || job.status === 'queued');
      return jobView(job, isWaiting ? await jobs.queuePosition(principal.project, job.id) : null);
    },
  );

  for (const { name, done, act, ...documented } of ACTIONS) {
    app.post(
      `/fine_tuning/jobs/:job_id/${name}`,
      { schema: { tags, ...documented, params: JobParams, response: { 200: JobObject } } },
      async (request) => {
        const job = await act(request.principal, request.params.job_id, services);
        request.log.info({ jobId: job.id }, `job ${done}`);
        return jobView(job);
      },
    );
  }

  app.delete(
    '/fine_tuning/jobs/:job_id',
    {
      schema: {
        tags,
        operationId: 'deleteFineTuningJob',
        summary: 'Delete a fine-tuning job',
        description: 'In any state, with all that it made: events, checkpoints, reports, its model and result files. Its datasets stay.',
        params: JobParams,
        response: { 200: JobDeleted },
      },
    },
    async (request) => {
      const { job_id: id } = request.params;
      await deleteJob(request.principal, id, services);
      request.log.info({ jobId: id }, 'job deleted');
      return { id, object: 'fine_tuning.job' as const, deleted: true };
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/events',
    {
      schema: {
        tags,
        operationId: 'listFineTuningEvents',
        summary: "List a job's events",
        params: JobParams,
        querystring: EventQuery,
        response: {
          200: orEventStream(EventList, {
            description: 'The newest events first; or, with `stream=true`, all as they happen, the oldest first.',
            item: EventObject,
          }),
        },
      },
    },
    async ({ principal, params, query, headers }, reply) => {
      const { id } = await findJob(principal, params.job_id, services);
      if (query.stream === true)
        return sendEvents(reply, await followEvents(principal, id, services, { after: startOfStream(query, headers), signal }));
      const { data, hasMore } = await jobRecord.events(principal.project, id, query);
      return { object: 'list' as const, data: data.map(eventView), has_more: hasMore };
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/checkpoints',
    {
      schema: {
        tags,
        operationId: 'listFineTuningJobCheckpoints',
        summary: "List a job's checkpoints",
        params: JobParams,
        querystring: CheckpointQuery,
        response: { 200: CheckpointList },
      },
    },
    async ({ principal, params, query }) => {
      const { id } = await findJob(principal, params.job_id, services);
      return cursorList(await jobRecord.checkpoints(principal.project, id, query), checkpointView);
    },
  );
};

const METADATA_KEY = /^metadata\[(.+)\]$/;

/** `metadata[key]=value`, or an empty `metadata=` (how `metadata: null` arrives) for jobs without any. */
function metadataFilter(query: object): { metadata?: Record<string, string> | null } {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    const key = METADATA_KEY.exec(name)?.[1];
    return key === undefined ? [] : [[key, String(value)] as const];
  });
  const { metadata } = query as { metadata?: string };
  if (metadata !== undefined && metadata !== '' && metadata !== 'null') {
    throw new Refusal('invalid_value', `metadata is "${metadata}", which names no key`, {
      param: 'metadata',
      hint: 'Filter with metadata[key]=value, any number of them; an empty metadata= selects jobs without metadata.',
    });
  }
  if (pairs.length > METADATA_PAIRS)
    throw new Refusal('invalid_value', `${pairs.length} pairs of metadata are given; a job has at most ${METADATA_PAIRS}`, { param: 'metadata' });
  if (pairs.length > 0) return { metadata: Object.fromEntries(pairs) };
  return metadata === undefined ? {} : { metadata: null };
}
