import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Services } from '../services.ts';
import { findModel, listModels } from './catalogue.ts';
import { deleteModel } from './delete.ts';
import { ModelDeleted, ModelList, ModelObject, ModelParams, ModelQuery } from './schema.ts';

const tags = ['Models'];

/** `/v1/models` */
export const modelRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/models',
    {
      schema: {
        tags,
        operationId: 'listModels',
        summary: 'List base models and tuned models',
        description: 'Base models by name, then tuned models, newest first.',
        querystring: ModelQuery,
        response: { 200: ModelList },
      },
    },
    async ({ principal, query }) => {
      const { data, hasMore } = await listModels(principal, query, services);
      return { object: 'list' as const, data, has_more: hasMore };
    },
  );

  app.get(
    '/models/:model',
    { schema: { tags, operationId: 'retrieveModel', summary: 'Retrieve a model', params: ModelParams, response: { 200: ModelObject } } },
    async ({ principal, params }) => findModel(principal, params.model, services),
  );

  app.delete(
    '/models/:model',
    {
      schema: {
        tags,
        operationId: 'deleteModel',
        summary: 'Delete a tuned model',
        description:
          'With all checkpoints and result files of its job; the job stays, with its events and reports. The name of a checkpoint deletes that checkpoint alone, once its job has ended.',
        params: ModelParams,
        response: { 200: ModelDeleted },
      },
    },
    async ({ principal, params }) => {
      await deleteModel(principal, params.model, services);
      return { id: params.model, object: 'model' as const, deleted: true };
    },
  );
};
