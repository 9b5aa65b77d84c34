import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cursorList } from '../http/list-schema.ts';
import { bodyParser } from '../http/validation.ts';
import { CreateJob } from '../jobs/schema.ts';
import type { Services } from '../services.ts';
import { createSweep } from './create.ts';
import { CreateSweep, DeleteSweepQuery, SweepDeleted, SweepList, SweepParams, SweepQuery, SweepWithTrials } from './schema.ts';
import type { Sweep } from './sweep.ts';
import { cancelSweep, deleteSweep, findSweep, jobsOf } from './sweeps.ts';
import { sweepView, sweepWithTrials } from './view.ts';

const tags = ['Fine-tuning'];
const params = SweepParams;

/** `/v1/fine_tuning/sweeps`: jobs that differ in some of their fields, and are compared */
export const sweepRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { sweeps } = services;
  const parseJob = bodyParser(CreateJob);
  const shown = async (sweep: Sweep) => sweepWithTrials(sweep, await jobsOf(sweep, services));

  app.post(
    '/fine_tuning/sweeps',
    {
      schema: {
        tags,
        operationId: 'createFineTuningSweep',
        summary: 'Create a sweep',
        description:
          'Creates a job for each combination of values, and names the best of them. What one of the jobs would be refused for is refused at once.',
        body: CreateSweep,
        response: { 200: SweepWithTrials },
      },
      config: { recognisesRetries: true },
    },
    async (request) => {
      const { body, bodyText, principal, claim } = request;
      const sweep = await createSweep(principal, { body, bodyText, claim: claim?.id, parseJob }, services);
      request.log.info({ sweepId: sweep.id, jobs: sweep.trials.length }, 'sweep created');
      return shown(sweep);
    },
  );

  app.get(
    '/fine_tuning/sweeps',
    {
      schema: {
        tags,
        operationId: 'listFineTuningSweeps',
        summary: 'List sweeps',
        description: 'Newest first.',
        querystring: SweepQuery,
        response: { 200: SweepList },
      },
    },
    async ({ principal, query }) => {
      const page = await sweeps.list(principal.project, query);
      const ended = await sweeps.endedOf(page.data.map(({ id }) => id));
      return cursorList(page, (sweep) => sweepView(sweep, ended.get(sweep.id) ?? { ended: 0, succeeded: 0 }));
    },
  );

  app.get(
    '/fine_tuning/sweeps/:sweep_id',
    {
      schema: {
        tags,
        operationId: 'retrieveFineTuningSweep',
        summary: 'Retrieve a sweep with its jobs',
        params,
        response: { 200: SweepWithTrials },
      },
    },
    async ({ principal, params: { sweep_id: id } }) => shown(await findSweep(principal, id, services)),
  );

  app.post(
    '/fine_tuning/sweeps/:sweep_id/cancel',
    {
      schema: {
        tags,
        operationId: 'cancelFineTuningSweep',
        summary: 'Cancel a sweep',
        description: 'Creates no further job, and cancels those that have not ended.',
        params,
        response: { 200: SweepWithTrials },
      },
    },
    async (request) => {
      const sweep = await cancelSweep(request.principal, request.params.sweep_id, services);
      request.log.info({ sweepId: sweep.id }, 'sweep cancelled');
      return shown(sweep);
    },
  );

  app.delete(
    '/fine_tuning/sweeps/:sweep_id',
    {
      schema: {
        tags,
        operationId: 'deleteFineTuningSweep',
        summary: 'Delete a sweep with its jobs',
        description: 'In any state, with its jobs and all that they made.',
        params,
        querystring: DeleteSweepQuery,
        response: { 200: SweepDeleted },
      },
    },
    async (request) => {
      const { sweep_id: id } = request.params;
      await deleteSweep(request.principal, id, { keepWinner: request.query.keep_winner ?? false, services });
      request.log.info({ sweepId: id }, 'sweep deleted');
      return { id, object: 'fine_tuning.sweep' as const, deleted: true };
    },
  );
};
