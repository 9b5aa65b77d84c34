import { idsOf } from './ids-of.ts';
import { expectMatch, expectRefusal, oneOf, orNull } from './matching.ts';
import type { Client, Row, Setting } from './setting.ts';

const PROJECT = { id: String, object: 'organization.project', created_at: Number, name: String, status: 'active', archived_at: null };
const ACCOUNT = { id: String, object: 'organization.project.service_account', created_at: Number, name: String, role: oneOf('owner', 'member') };
const KEY = {
  id: String,
  object: 'organization.project.api_key',
  created_at: Number,
  last_used_at: orNull(Number),
  name: String,
  owner: { type: oneOf('user', 'service_account') },
  redacted_value: /\*|…|\.\.\./,
};
const LIMIT = { id: String, object: 'project.rate_limit', model: String, max_requests_per_1_minute: Number, max_tokens_per_1_minute: Number };

/** A project for one row, with a service account that has a key. */
async function inProject({ client }: Setting, call: (made: { project_id: string; accountId: string; keyId: string; key: string }) => Promise<void>) {
  const project = await client.admin.organization.projects.create({ name: 'rows' });
  const account = await client.admin.organization.projects.serviceAccounts.create(project.id, { name: 'robot' });
  await call({ project_id: project.id, accountId: account.id, keyId: account.api_key!.id, key: account.api_key!.value });
  await client.admin.organization.projects.archive(project.id);
}

/** A key of the project itself, which the client has no method to make. */
const newKey = (client: Client, project_id: string) =>
  client.post<{ id: string; value: string }>(`/organization/projects/${project_id}/api_keys`, { body: { name: 'rows' } });

export const adminRows: Row[] = [
  [
    'admin.organization.projects.create',
    'with a name',
    async ({ client }) => {
      const project = await client.admin.organization.projects.create({ name: 'rows' });
      expectMatch(project, { ...PROJECT, name: 'rows' });
      await client.admin.organization.projects.archive(project.id);
    },
  ],
  [
    'admin.organization.projects.retrieve',
    'of a project, and of an unknown one',
    async (setting) =>
      inProject(setting, async ({ project_id }) => {
        expectMatch(await setting.client.admin.organization.projects.retrieve(project_id), { ...PROJECT, id: project_id });
        await expectRefusal(setting.client.admin.organization.projects.retrieve('proj_none'), setting.openai.NotFoundError);
      }),
  ],
  [
    'admin.organization.projects.update',
    'of its name',
    async (setting) =>
      inProject(setting, async ({ project_id }) =>
        expectMatch(await setting.client.admin.organization.projects.update(project_id, { name: 'renamed' }), { ...PROJECT, name: 'renamed' }),
      ),
  ],
  [
    'admin.organization.projects.list',
    'in pages of one',
    async (setting) =>
      inProject(setting, async ({ project_id }) =>
        expectMatch((await idsOf(setting.client.admin.organization.projects.list({ limit: 1 }))).includes(project_id), true),
      ),
  ],
  [
    'admin.organization.projects.archive',
    'of a project whose keys then end',
    async (setting) =>
      inProject(setting, async ({ project_id, key }) => {
        const { projects } = setting.client.admin.organization;
        expectMatch(await projects.archive(project_id), { id: project_id, status: 'archived', archived_at: Number });
        expectMatch((await idsOf(projects.list({ include_archived: true }))).includes(project_id), true);
        expectMatch((await idsOf(projects.list())).includes(project_id), false);
        await expectRefusal(setting.client.withOptions({ apiKey: key }).files.list(), setting.openai.APIError, { status: oneOf(401, 403) });
      }),
  ],
  [
    'admin.organization.projects.serviceAccounts.create',
    'with a key that sees its project alone',
    async (setting) => {
      const { client, openai, trained } = setting;
      await inProject(setting, async ({ project_id, key }) => {
        const account = await client.admin.organization.projects.serviceAccounts.create(project_id, { name: 'other' });
        expectMatch(account, {
          ...ACCOUNT,
          api_key: { id: String, object: 'organization.project.service_account.api_key', value: String, name: String },
        });
        const theirs = client.withOptions({ apiKey: key });
        expectMatch((await theirs.files.list()).data, []);
        await expectRefusal(theirs.fineTuning.jobs.retrieve((await trained()).id), openai.NotFoundError, { code: 'fine_tune_not_found' });
      });
    },
  ],
  [
    'admin.organization.projects.serviceAccounts.retrieve',
    'of an account',
    async (setting) =>
      inProject(setting, async ({ project_id, accountId }) =>
        expectMatch(await setting.client.admin.organization.projects.serviceAccounts.retrieve(accountId, { project_id }), {
          ...ACCOUNT,
          id: accountId,
        }),
      ),
  ],
  [
    'admin.organization.projects.serviceAccounts.update',
    'of its name',
    async (setting) =>
      inProject(setting, async ({ project_id, accountId }) => {
        const { serviceAccounts } = setting.client.admin.organization.projects;
        expectMatch(await serviceAccounts.update(accountId, { project_id, name: 'renamed' }), { ...ACCOUNT, name: 'renamed' });
      }),
  ],
  [
    'admin.organization.projects.serviceAccounts.list',
    'of a project',
    async (setting) =>
      inProject(setting, async ({ project_id, accountId }) =>
        expectMatch(await idsOf(setting.client.admin.organization.projects.serviceAccounts.list(project_id, { limit: 1 })), [accountId]),
      ),
  ],
  [
    'admin.organization.projects.serviceAccounts.delete',
    'of an account whose key then ends',
    async (setting) =>
      inProject(setting, async ({ project_id, accountId, key }) => {
        const deleted = await setting.client.admin.organization.projects.serviceAccounts.delete(accountId, { project_id });
        expectMatch(deleted, { id: accountId, object: 'organization.project.service_account.deleted', deleted: true });
        await expectRefusal(setting.client.withOptions({ apiKey: key }).files.list(), setting.openai.AuthenticationError);
      }),
  ],
  [
    'admin.organization.projects.serviceAccounts.apiKeys.create',
    'for an account',
    async (setting) =>
      inProject(setting, async ({ project_id, accountId }) => {
        const { apiKeys } = setting.client.admin.organization.projects.serviceAccounts;
        const made = await apiKeys.create(accountId, { project_id, name: 'second' });
        expectMatch(made, { id: String, object: 'organization.project.service_account.api_key', created_at: Number, name: 'second', value: String });
        expectMatch((await setting.client.withOptions({ apiKey: made.value }).files.list()).data, []);
      }),
  ],
  [
    'admin.organization.projects.apiKeys.retrieve',
    'of a key',
    async (setting) =>
      inProject(setting, async ({ project_id, keyId }) =>
        expectMatch(await setting.client.admin.organization.projects.apiKeys.retrieve(keyId, { project_id }), { ...KEY, id: keyId }),
      ),
  ],
  [
    'admin.organization.projects.apiKeys.list',
    'of a project',
    async (setting) =>
      inProject(setting, async ({ project_id, keyId }) =>
        expectMatch(await idsOf(setting.client.admin.organization.projects.apiKeys.list(project_id, { limit: 1 })), [keyId]),
      ),
  ],
  [
    'admin.organization.projects.apiKeys.update',
    'of a key that may then only read',
    async (setting) =>
      inProject(setting, async ({ project_id }) => {
        const { client, openai } = setting;
        const made = await newKey(client, project_id);
        const { apiKeys } = client.admin.organization.projects;
        expectMatch(await apiKeys.update(made.id, { project_id, scopes: ['api.all.read'] }), { ...KEY, id: made.id, scopes: ['read'] });
        const theirs = client.withOptions({ apiKey: made.value });
        expectMatch((await theirs.files.list()).data, []);
        await expectRefusal(theirs.files.delete('file-none'), openai.PermissionDeniedError);
      }),
  ],
  [
    'admin.organization.projects.apiKeys.delete',
    "of a key that then ends, and of a service account's, which it keeps",
    async (setting) =>
      inProject(setting, async ({ project_id, keyId }) => {
        const { client, openai } = setting;
        const { apiKeys } = client.admin.organization.projects;
        const made = await newKey(client, project_id);
        const theirs = client.withOptions({ apiKey: made.value });
        expectMatch((await theirs.files.list()).data, []);
        expectMatch(await apiKeys.delete(made.id, { project_id }), { id: made.id, object: 'organization.project.api_key.deleted', deleted: true });
        await expectRefusal(theirs.files.list(), openai.AuthenticationError);
        await expectRefusal(apiKeys.delete(keyId, { project_id }), openai.BadRequestError);
      }),
  ],
  [
    'admin.organization.projects.rateLimits.listRateLimits',
    'of a project',
    async (setting) =>
      inProject(setting, async ({ project_id }) => {
        const { data } = await setting.client.admin.organization.projects.rateLimits.listRateLimits(project_id);
        expectMatch(data[0], LIMIT);
      }),
  ],
  [
    'admin.organization.projects.rateLimits.updateRateLimit',
    'to one request in a minute, which then is a RateLimitError',
    async (setting) =>
      inProject(setting, async ({ project_id, key }) => {
        const { rateLimits } = setting.client.admin.organization.projects;
        const { data } = await rateLimits.listRateLimits(project_id);
        const updated = await rateLimits.updateRateLimit(data[0]!.id, { project_id, max_requests_per_1_minute: 1 });
        expectMatch(updated, { ...LIMIT, max_requests_per_1_minute: 1 });
        const theirs = setting.client.withOptions({ apiKey: key, maxRetries: 0 });
        const calls = async () => {
          for (let count = 0; count < 5; count++) await theirs.models.list();
        };
        await expectRefusal(calls(), setting.openai.RateLimitError, {
          status: 429,
          headers: (headers: unknown) => (headers as Headers).has('retry-after'),
        });
      }),
  ],
  [
    'admin.organization.auditLogs.list',
    'of what was done to projects',
    async (setting) =>
      inProject(setting, async ({ project_id }) => {
        const { data } = await setting.client.admin.organization.auditLogs.list({ limit: 50 });
        for (const entry of data) expectMatch(entry, { id: String, effective_at: Number, type: String, actor: {} });
        expectMatch(
          data.some((entry) => JSON.stringify(entry).includes(project_id)),
          true,
        );
      }),
  ],
];
