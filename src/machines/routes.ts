import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Services } from '../services.ts';
import { WorkerList, workerView } from './schema.ts';

/** `/v1/workers` */
export const machineRoutes: FastifyPluginAsyncTypebox<Services> = async (app, { machines }) => {
  app.get(
    '/workers',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'listWorkers',
        summary: 'List the workers',
        description: 'Those that are alive: what they train on, their memory, the base models that they have, and how many jobs each has.',
        response: { 200: WorkerList },
      },
    },
    async ({ principal }) => {
      const data = await machines.list(principal.project);
      return { object: 'list' as const, data: data.map(workerView), has_more: false };
    },
  );
};
