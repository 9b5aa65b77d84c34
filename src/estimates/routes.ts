import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Services } from '../services.ts';
import { estimate } from './estimate.ts';
import { Estimate, EstimateRequest } from './schema.ts';

/** `/v1/fine_tuning/estimate` */
export const estimateRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.post(
    '/fine_tuning/estimate',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Fine-tuning'],
        operationId: 'estimateFineTuningJob',
        summary: 'Estimate what a job would need',
        description:
          'Memory by part, parameters, the size of what is delivered, and the steps for a file: from config.json and the request, without a worker. A job with `dry_run: true` measures.',
        body: EstimateRequest,
        response: { 200: Estimate },
      },
    },
    ({ principal, body }) => estimate(principal, body, services),
  );
};
