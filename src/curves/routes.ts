import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { listOf } from '../http/list-schema.ts';
import { binary } from '../http/openapi/answers.ts';
import { pageOf } from '../http/paging.ts';
import { findJob } from '../jobs/find.ts';
import { JobParams } from '../jobs/schema.ts';
import type { Services } from '../services.ts';
import { eventFile, eventFileName } from './tensorboard.ts';

/** What a column of a step holds. */
const LARGEST_STEP = 2 ** 31 - 1;
/** As many as fit a wide screen several times over; some 300 KB. */
const MAX_POINTS = 2_000;

const MetricQuery = Type.Object(
  {
    after_step: Type.Integer({ minimum: 0, maximum: LARGEST_STEP, default: 0, description: 'Only steps after this one.' }),
    points: Type.Integer({
      minimum: 1,
      maximum: MAX_POINTS,
      default: 500,
      description:
        'About how many steps of the whole job are wanted, evenly spread. Steps with an evaluation, the first and the newest come as well.',
    }),
    limit: Type.Integer({ minimum: 1, maximum: MAX_POINTS, default: MAX_POINTS, description: 'Maximum number of items to return.' }),
  },
  { additionalProperties: false },
);

const StepMetrics = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.metrics'),
    step: Type.Integer(),
    metrics: Type.Record(Type.String(), Type.Number(), {
      description:
        '`train_…`, `valid_…` and `full_valid_…` as in events; also `epoch`, `learning_rate`, `grad_norm`, `tokens`, `supervised_tokens`, `seconds`.',
    }),
  },
  { title: 'FineTuningJobMetrics' },
);

/** `/v1/fine_tuning/jobs/{id}/metrics` and `…/tensorboard`: the curves of a job */
export const curveRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/metrics',
    {
      schema: {
        tags: ['Fine-tuning'],
        operationId: 'listFineTuningMetrics',
        summary: "List a job's metrics by step",
        description: 'In the order of the steps, thinned out for drawing. To follow a running job, ask again with `after_step`.',
        params: JobParams,
        querystring: MetricQuery,
        response: { 200: listOf(StepMetrics) },
      },
    },
    async ({ principal, params, query }) => {
      const job = await findJob(principal, params.job_id, services);
      const every = Math.ceil((job.totalSteps ?? 1) / query.points);
      const rows = await services.curves.steps(principal.project, job.id, { afterStep: query.after_step, every, limit: query.limit + 1 });
      const { data, hasMore } = pageOf(rows, query.limit);
      return {
        object: 'list' as const,
        data: data.map((row) => ({ object: 'fine_tuning.job.metrics' as const, ...row })),
        has_more: hasMore,
      };
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/tensorboard',
    {
      schema: {
        tags: ['Fine-tuning'],
        operationId: 'downloadTensorBoardFile',
        summary: "Download a job's metrics as an event file of TensorBoard",
        description:
          'Every number of every step so far, while the job runs too. Save it under the name that the answer gives, in a folder of its own.',
        params: JobParams,
        response: { 200: binary('application/octet-stream', 'The event file.', { 'content-disposition': 'The name of the file.' }) },
      },
    },
    async ({ principal, params }, reply) => {
      const job = await findJob(principal, params.job_id, services);
      reply.type('application/octet-stream').header('content-disposition', `attachment; filename="${eventFileName(job)}"`);
      return reply.send(Readable.from(eventFile(job, services)));
    },
  );
};
