import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { PROJECT_SCOPES, type Scope } from '../accounts/scopes.ts';
import { createKey } from '../api-keys/create.ts';
import { Refusal } from '../formats/refusal.ts';
import { cursorList } from '../http/list-schema.ts';
import { findActiveProject, findProject } from '../projects/find.ts';
import { ProjectParams } from '../projects/schema.ts';
import type { Services } from '../services.ts';
import {
  AccountKeyObject,
  accountKeyView,
  accountView,
  CreateAccountKey,
  CreateServiceAccount,
  NewServiceAccount,
  ServiceAccountDeleted,
  ServiceAccountList,
  ServiceAccountObject,
  ServiceAccountParams,
  ServiceAccountQuery,
  UpdateServiceAccount,
} from './schema.ts';
import type { ServiceAccount } from './store.ts';

const tags = ['Service accounts'];
const DEFAULT_KEY_NAME = 'Secret key';

/** `/v1/organization/projects/{project_id}/service_accounts`: programs that have keys of their own */
export const serviceAccountRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { serviceAccounts, access } = services;

  const find = async (projectId: string, id: string): Promise<ServiceAccount> => (await serviceAccounts.find(projectId, id)) ?? unknown(id);
  const newKey = ({ organizationId, id: projectId }: { organizationId: string; id: string }, account: ServiceAccount, wanted: Wanted = {}) => {
    const { name = DEFAULT_KEY_NAME, scopes = PROJECT_SCOPES } = wanted;
    return createKey({ organizationId, projectId }, { name, scopes, serviceAccountId: account.id }, services);
  };

  app.post(
    '/projects/:project_id/service_accounts',
    {
      config: { audit: 'service_account.created' },
      schema: {
        tags,
        operationId: 'createProjectServiceAccount',
        summary: 'Create a service account with an API key',
        params: ProjectParams,
        body: CreateServiceAccount,
        response: { 200: NewServiceAccount },
      },
    },
    async ({ principal, params, body }) => {
      const project = await findActiveProject(principal, params.project_id, services);
      const account = await serviceAccounts.create(project.id, body.name);
      const key = body.create_service_account_only === true ? null : await newKey(project, account);
      return { ...accountView(account), api_key: key && accountKeyView(key) };
    },
  );

  app.get(
    '/projects/:project_id/service_accounts',
    {
      schema: {
        tags,
        operationId: 'listProjectServiceAccounts',
        summary: 'List service accounts',
        description: 'Newest first.',
        params: ProjectParams,
        querystring: ServiceAccountQuery,
        response: { 200: ServiceAccountList },
      },
    },
    async ({ principal, params, query }) => {
      const { id } = await findProject(principal, params.project_id, services);
      return cursorList(await serviceAccounts.list(id, { ...query, order: 'desc' }), accountView);
    },
  );

  app.get(
    '/projects/:project_id/service_accounts/:service_account_id',
    {
      schema: {
        tags,
        operationId: 'retrieveProjectServiceAccount',
        summary: 'Retrieve a service account',
        params: ServiceAccountParams,
        response: { 200: ServiceAccountObject },
      },
    },
    async ({ principal, params }) => {
      const { id } = await findProject(principal, params.project_id, services);
      return accountView(await find(id, params.service_account_id));
    },
  );

  app.post(
    '/projects/:project_id/service_accounts/:service_account_id',
    {
      config: { audit: 'service_account.updated' },
      schema: {
        tags,
        operationId: 'updateProjectServiceAccount',
        summary: "Change a service account's name",
        params: ServiceAccountParams,
        body: UpdateServiceAccount,
        response: { 200: ServiceAccountObject },
      },
    },
    async ({ principal, params, body }) => {
      const { id } = await findActiveProject(principal, params.project_id, services);
      const account = await find(id, params.service_account_id);
      if (body.name === undefined) return accountView(account);
      return accountView((await serviceAccounts.rename(id, account.id, body.name)) ?? unknown(account.id));
    },
  );

  app.post(
    '/projects/:project_id/service_accounts/:service_account_id/api_keys',
    {
      config: { audit: 'api_key.created' },
      schema: {
        tags,
        operationId: 'createProjectServiceAccountApiKey',
        summary: 'Create another API key of a service account',
        params: ServiceAccountParams,
        body: CreateAccountKey,
        response: { 200: AccountKeyObject },
      },
    },
    async ({ principal, params, body }) => {
      const project = await findActiveProject(principal, params.project_id, services);
      return accountKeyView(await newKey(project, await find(project.id, params.service_account_id), body));
    },
  );

  app.delete(
    '/projects/:project_id/service_accounts/:service_account_id',
    {
      config: { audit: 'service_account.deleted' },
      schema: {
        tags,
        operationId: 'deleteProjectServiceAccount',
        summary: 'Delete a service account with its API keys',
        params: ServiceAccountParams,
        response: { 200: ServiceAccountDeleted },
      },
    },
    async ({ principal, params }) => {
      const project = await findProject(principal, params.project_id, services);
      const { service_account_id: id } = params;
      if (!(await serviceAccounts.delete(project.id, id))) unknown(id);
      access.forget();
      return { id, object: 'organization.project.service_account.deleted' as const, deleted: true };
    },
  );
};

interface Wanted {
  name?: string;
  scopes?: readonly Scope[];
}

function unknown(id: string): never {
  throw new Refusal('service_account_not_found', `There is no service account "${id}"`, { param: 'service_account_id' });
}
