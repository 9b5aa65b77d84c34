import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Principal } from '../accounts/principal.ts';
import { PROJECT_SCOPES, SCOPES } from '../accounts/scopes.ts';
import { Refusal } from '../formats/refusal.ts';
import { cursorList } from '../http/list-schema.ts';
import { findActiveProject, findProject } from '../projects/find.ts';
import { ProjectParams } from '../projects/schema.ts';
import type { Services } from '../services.ts';
import { createKey } from './create.ts';
import {
  AdminKeyDeleted,
  AdminKeyList,
  AdminKeyObject,
  AdminKeyParams,
  AdminKeyQuery,
  adminKeyView,
  CreateAdminKey,
  CreateProjectKey,
  KeyDeleted,
  NewAdminKeyObject,
  NewProjectKeyObject,
  ProjectKeyList,
  ProjectKeyObject,
  ProjectKeyParams,
  ProjectKeyQuery,
  projectKeyView,
  scopesOf,
  UpdateProjectKey,
} from './schema.ts';
import type { KeyOwner, StoredKey } from './store.ts';

const tags = ['API keys'];

/** `/v1/organization/projects/{project_id}/api_keys` and `/v1/organization/admin_api_keys` */
export const keyRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { keys, access } = services;

  const find = async (owner: KeyOwner, id: string): Promise<StoredKey> => (await keys.find(owner, id)) ?? unknown(id);
  const ofProject = async (principal: Principal, id: string): Promise<KeyOwner> => {
    const { organizationId, id: projectId } = await findProject(principal, id, services);
    return { organizationId, projectId };
  };
  const ofOrganization = ({ organization }: Principal): KeyOwner => ({ organizationId: organization, projectId: null });

  app.post(
    '/projects/:project_id/api_keys',
    {
      config: { audit: 'api_key.created' },
      schema: {
        tags,
        operationId: 'createProjectApiKey',
        summary: 'Create an API key of a project',
        description: "An addition to OpenAI's API. The key is in `value`, this once.",
        params: ProjectParams,
        body: CreateProjectKey,
        response: { 200: NewProjectKeyObject },
      },
    },
    async ({ principal, params, body }) => {
      const { organizationId, id: projectId } = await findActiveProject(principal, params.project_id, services);
      const { name, scopes = PROJECT_SCOPES, expires_in_seconds: expiresInSeconds = null, max_requests_per_1_minute: perMinute = null } = body;
      const wanted = { name, scopes: [...new Set(scopes)], expiresInSeconds, requestsPerMinute: perMinute };
      const { key, value } = await createKey({ organizationId, projectId }, wanted, services);
      return { ...projectKeyView(key), value };
    },
  );

  app.get(
    '/projects/:project_id/api_keys',
    {
      schema: {
        tags,
        operationId: 'listProjectApiKeys',
        summary: 'List the API keys of a project',
        description: 'Newest first, without those that are deleted.',
        params: ProjectParams,
        querystring: ProjectKeyQuery,
        response: { 200: ProjectKeyList },
      },
    },
    async ({ principal, params, query }) => {
      const { after, limit, owner_project_access: ownerAccess } = query;
      const owner = await ofProject(principal, params.project_id);
      // A service account is deleted with its keys, so the owner of every key has access.
      if (ownerAccess === 'inactive') return cursorList({ data: [], hasMore: false }, projectKeyView);
      return cursorList(await keys.list(owner, { after, limit, order: 'desc' }), projectKeyView);
    },
  );

  app.get(
    '/projects/:project_id/api_keys/:api_key_id',
    {
      schema: {
        tags,
        operationId: 'retrieveProjectApiKey',
        summary: 'Retrieve an API key of a project',
        params: ProjectKeyParams,
        response: { 200: ProjectKeyObject },
      },
    },
    async ({ principal, params }) => projectKeyView(await find(await ofProject(principal, params.project_id), params.api_key_id)),
  );

  app.post(
    '/projects/:project_id/api_keys/:api_key_id',
    {
      config: { audit: 'api_key.updated' },
      schema: {
        tags,
        operationId: 'updateProjectApiKey',
        summary: 'Change what an API key may do, or when it expires',
        description: 'Holds at once, in other processes of the service within 5 seconds. A key that has expired cannot be changed.',
        params: ProjectKeyParams,
        body: UpdateProjectKey,
        response: { 200: ProjectKeyObject },
      },
    },
    async ({ principal, params, body }) => {
      const owner = await ofProject(principal, params.project_id);
      const { id } = await find(owner, params.api_key_id);
      const { expires_in_seconds: seconds } = body;
      const scopes = scopesOf(body);
      const expiresAt = seconds === undefined ? {} : { expiresAt: new Date(Date.now() + seconds * 1000) };
      const changed = await keys.update(owner, id, { ...(scopes !== undefined && { scopes }), ...expiresAt });
      if (changed === null)
        throw new Refusal('invalid_value', `The API key "${id}" has expired`, { param: 'api_key_id', hint: 'Create another one.' });
      access.forget();
      return projectKeyView(changed);
    },
  );

  app.delete(
    '/projects/:project_id/api_keys/:api_key_id',
    {
      config: { audit: 'api_key.deleted' },
      schema: {
        tags,
        operationId: 'deleteProjectApiKey',
        summary: 'Delete an API key of a project',
        description: 'It is refused at once, by other processes of the service within 5 seconds. The key of a service account goes with the account.',
        params: ProjectKeyParams,
        response: { 200: KeyDeleted },
      },
    },
    async ({ principal, params }) => {
      const owner = await ofProject(principal, params.project_id);
      const { id, serviceAccount } = await find(owner, params.api_key_id);
      if (serviceAccount !== null)
        throw new Refusal('invalid_value', `The API key "${id}" belongs to the service account "${serviceAccount.id}"`, {
          param: 'api_key_id',
          hint: 'Delete the service account.',
        });
      await keys.revoke(owner, id);
      access.forget();
      return { id, object: 'organization.project.api_key.deleted' as const, deleted: true };
    },
  );

  app.post(
    '/admin_api_keys',
    {
      config: { audit: 'api_key.created' },
      schema: {
        tags,
        operationId: 'createAdminApiKey',
        summary: 'Create an API key of the organization',
        description: 'It may do everything in the organization and in all its projects. The key is in `value`, this once.',
        body: CreateAdminKey,
        response: { 200: NewAdminKeyObject },
      },
    },
    async ({ principal, body }) => {
      const wanted = { name: body.name, scopes: SCOPES, expiresInSeconds: body.expires_in_seconds ?? null };
      const { key, value } = await createKey(ofOrganization(principal), wanted, services);
      return { ...adminKeyView(key), value };
    },
  );

  app.get(
    '/admin_api_keys',
    {
      schema: {
        tags,
        operationId: 'listAdminApiKeys',
        summary: 'List the API keys of the organization',
        querystring: AdminKeyQuery,
        response: { 200: AdminKeyList },
      },
    },
    async ({ principal, query }) => cursorList(await keys.list(ofOrganization(principal), query), adminKeyView),
  );

  app.get(
    '/admin_api_keys/:key_id',
    {
      schema: {
        tags,
        operationId: 'retrieveAdminApiKey',
        summary: 'Retrieve an API key of the organization',
        params: AdminKeyParams,
        response: { 200: AdminKeyObject },
      },
    },
    async ({ principal, params }) => adminKeyView(await find(ofOrganization(principal), params.key_id)),
  );

  app.delete(
    '/admin_api_keys/:key_id',
    {
      config: { audit: 'api_key.deleted' },
      schema: {
        tags,
        operationId: 'deleteAdminApiKey',
        summary: 'Delete an API key of the organization',
        params: AdminKeyParams,
        response: { 200: AdminKeyDeleted },
      },
    },
    async ({ principal, params }) => {
      const { key_id: id } = params;
      if (!(await keys.revoke(ofOrganization(principal), id))) unknown(id);
      access.forget();
      return { id, object: 'organization.admin_api_key.deleted' as const, deleted: true };
    },
  );
};

function unknown(id: string): never {
  throw new Refusal('api_key_not_found', `There is no API key "${id}"`, { param: 'key_id' });
}
