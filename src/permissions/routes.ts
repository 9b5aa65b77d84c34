import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { cursorList } from '../http/list-schema.ts';
import { modelNotFound } from '../models/catalogue.ts';
import type { Services } from '../services.ts';
import { CreatePermissions, ModelParams, PermissionDeleted, PermissionList, PermissionParams, PermissionQuery, permissionView } from './schema.ts';
import type { SharedModel } from './store.ts';

const tags = ['Models'];
/** Whoever administers the organization shares its models, as at OpenAI. */
const config = { scope: 'admin' } as const;

/** `/v1/fine_tuning/checkpoints/{model}/permissions` */
export const permissionRoutes: FastifyPluginAsyncTypebox<Services> = async (app, { permissions, projects }) => {
  const find = async ({ organization }: Principal, model: string): Promise<SharedModel> => {
    const found = await permissions.findModel(organization, model);
    if (found === null) throw modelNotFound(model);
    return found;
  };

  app.post(
    '/fine_tuning/checkpoints/:fine_tuned_model_checkpoint/permissions',
    {
      config,
      schema: {
        tags,
        operationId: 'createFineTuningCheckpointPermission',
        summary: 'Share a tuned model or a checkpoint with other projects',
        description: 'They may retrieve it, download it and start jobs from it. A permission that there is already is left as it is.',
        params: ModelParams,
        body: CreatePermissions,
        response: { 200: PermissionList },
      },
    },
    async ({ principal, params, body }) => {
      const model = await find(principal, params.fine_tuned_model_checkpoint);
      for (const [index, id] of body.project_ids.entries()) {
        if ((await projects.find(principal.organization, id)) !== null) continue;
        throw new Refusal('invalid_value', `There is no project "${id}" in the organization`, {
          param: `project_ids.${index}`,
          hint: 'GET /v1/organization/projects lists them.',
        });
      }
      return cursorList({ data: await permissions.grant(model, body.project_ids), hasMore: false }, permissionView);
    },
  );

  app.get(
    '/fine_tuning/checkpoints/:fine_tuned_model_checkpoint/permissions',
    {
      config,
      schema: {
        tags,
        operationId: 'listFineTuningCheckpointPermissions',
        summary: 'List the projects that a tuned model or a checkpoint is shared with',
        params: ModelParams,
        querystring: PermissionQuery,
        response: { 200: PermissionList },
      },
    },
    async ({ principal, params, query: { after, limit, order, project_id: projectId } }) => {
      const model = await find(principal, params.fine_tuned_model_checkpoint);
      return cursorList(await permissions.list(model, { after, limit, order: order === 'ascending' ? 'asc' : 'desc', projectId }), permissionView);
    },
  );

  app.delete(
    '/fine_tuning/checkpoints/:fine_tuned_model_checkpoint/permissions/:permission_id',
    {
      config,
      schema: {
        tags,
        operationId: 'deleteFineTuningCheckpointPermission',
        summary: 'Stop sharing a tuned model or a checkpoint with a project',
        description: 'Jobs that have started from it run on.',
        params: PermissionParams,
        response: { 200: PermissionDeleted },
      },
    },
    async ({ principal, params: { fine_tuned_model_checkpoint: name, permission_id: id } }) => {
      const model = await find(principal, name);
      if (!(await permissions.revoke(model, id)))
        throw new Refusal('permission_not_found', `There is no permission "${id}" for the model "${name}"`, {
          param: 'permission_id',
          hint: 'GET on the same address without the id lists them.',
        });
      return { id, object: 'checkpoint.permission' as const, deleted: true };
    },
  );
};
