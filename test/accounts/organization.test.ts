import type { FastifyInstance } from 'fastify';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

const administrator = () =>
  new OpenAI({ baseURL: `${service.address}/v1`, apiKey: 'unused', adminAPIKey: API_KEY, maxRetries: 0 }).admin.organization;
const clientWith = (apiKey: string, more: object = {}) => new OpenAI({ baseURL: `${service.address}/v1`, apiKey, maxRetries: 0, ...more });

interface NewKey {
  id: string;
  value: string;
  scopes: string[];
}
const newKey = async (project: string, body: object = {}): Promise<NewKey> => {
  const response = await service.post(`/v1/organization/projects/${project}/api_keys`, { name: 'a key', ...body });
  expect(response.statusCode, response.body).toBe(200);
  return response.json<NewKey>();
};
const dataset = () => ({ file: new File(['{"prompt":"a","completion":"b"}\n'], 'a.jsonl'), purpose: 'fine-tune' as const });
const newProject = async (name = 'A project') => (await administrator().projects.create({ name })).id;

async function all<T extends { id: string }>(pages: AsyncIterable<T>): Promise<string[]> {
  const ids = [];
  for await (const { id } of pages) ids.push(id);
  return ids;
}

describe('projects', () => {
  it('are created, retrieved, changed, listed and archived by the official client', async () => {
    const { projects } = administrator();
    const created = await projects.create({ name: 'Translation' });
    expect(created).toMatchObject({ id: expect.stringMatching(/^proj_/), object: 'organization.project', name: 'Translation', status: 'active' });
    expect(await projects.retrieve(created.id)).toEqual(created);
    expect(await projects.update(created.id, { name: 'Subtitles' })).toEqual({ ...created, name: 'Subtitles' });
    const second = await projects.create({ name: 'Second' });
    const listed = await all(projects.list({ limit: 1 }));
    expect(listed.slice(0, 2)).toEqual([second.id, created.id]);
    expect(listed.at(-1)).toBe('graft');
    expect(await projects.archive(created.id)).toMatchObject({ status: 'archived', archived_at: expect.any(Number) });
    expect(await all(projects.list())).not.toContain(created.id);
    expect(await all(projects.list({ include_archived: true, limit: 1 }))).toContain(created.id);
    await expect(projects.update(created.id, { name: 'Again' })).rejects.toMatchObject({ status: 403, code: 'project_archived' });
  });

  it('that are archived refuse their keys, and the default one cannot be archived', async () => {
    const id = await newProject();
    const client = clientWith((await newKey(id)).value);
    await client.files.list();
    await administrator().projects.archive(id);
    await expect(client.files.list()).rejects.toMatchObject({ status: 403, code: 'project_archived' });
    await expect(administrator().projects.archive('graft')).rejects.toMatchObject({ status: 400, param: 'project_id' });
    await expect(administrator().projects.archive('proj_none')).rejects.toMatchObject({ status: 404, code: 'project_not_found' });
  });

  it('have limits that are changed one by one', async () => {
    const id = await newProject();
    const change = async (limits: object) => (await service.post(`/v1/organization/projects/${id}`, { limits })).json<{ limits: object }>().limits;
    const none = { max_files: null, max_bytes: null, max_queued_jobs: null, max_running_jobs: null, max_tokens_per_day: null };
    expect(await change({ max_files: 3, max_bytes: 5e12 })).toEqual({ ...none, max_files: 3, max_bytes: 5e12 });
    expect(await change({ max_files: null, max_running_jobs: 0 })).toEqual({ ...none, max_bytes: 5e12, max_running_jobs: 0 });
    const wrong = await service.post(`/v1/organization/projects/${id}`, { limits: { max_pages: 3 } });
    expect(refusal(wrong)).toMatchObject({ status: 400, code: 'unknown_parameter', param: 'limits.max_pages' });
  });
});

describe('the keys of a project', () => {
  it('are shown once, listed without their value, and refused once deleted', async () => {
    const id = await newProject();
    const { apiKeys } = administrator().projects;
    const key = await newKey(id, { name: 'nightly' });
    expect(key).toMatchObject({ value: expect.stringMatching(/^sk-proj-.{43}$/), scopes: ['read', 'write'] });
    const retrieved = await apiKeys.retrieve(key.id, { project_id: id });
    expect(JSON.stringify(retrieved)).not.toContain(key.value);
    expect(retrieved).toMatchObject({ name: 'nightly', redacted_value: expect.stringMatching(/^sk-proj-.{4}\*{3}.{4}$/), last_used_at: null });
    await clientWith(key.value).files.list();
    expect((await apiKeys.retrieve(key.id, { project_id: id })).last_used_at).toBeCloseTo(Date.now() / 1000, -2);
    expect(await all(apiKeys.list(id))).toEqual([key.id]);
    expect(await apiKeys.delete(key.id, { project_id: id })).toEqual({
      id: key.id,
      object: 'organization.project.api_key.deleted',
      deleted: true,
    });
    await expect(clientWith(key.value).files.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(await all(apiKeys.list(id))).toEqual([]);
    await expect(apiKeys.delete(key.id, { project_id: id })).rejects.toMatchObject({ status: 404, code: 'api_key_not_found' });
  });

  it('are changed in what they may do and in when they expire', async () => {
    const id = await newProject();
    const key = await newKey(id);
    const change = (body: object) => service.post(`/v1/organization/projects/${id}/api_keys/${key.id}`, body);
    const upload = () => clientWith(key.value).files.create(dataset());
    await upload();
    expect((await change({ scopes: ['api.all.read'] })).json()).toMatchObject({ id: key.id, scopes: ['read'], expires_at: null });
    await expect(upload()).rejects.toMatchObject({ status: 403, code: 'missing_scope' });
    expect((await change({ scopes: [], expires_in_seconds: 60 })).json()).toMatchObject({
      scopes: ['read', 'write'],
      expires_at: expect.any(Number),
    });
    await upload();
    expect(refusal(await change({ scopes: ['admin'] }))).toMatchObject({ status: 400 });
    await service.services.database.apiKey.update({ where: { id: key.id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    expect(refusal(await change({ expires_in_seconds: 60 }))).toMatchObject({ status: 400, message: expect.stringMatching(/has expired/) });
  });

  it('can be listed to the end while they are deleted', async () => {
    const id = await newProject();
    const { apiKeys } = administrator().projects;
    const made = [await newKey(id), await newKey(id), await newKey(id)].map((key) => key.id).toReversed();
    const seen = [];
    for await (const key of apiKeys.list(id, { limit: 1 })) {
      seen.push(key.id);
      await apiKeys.delete(key.id, { project_id: id });
    }
    expect(seen).toEqual(made);
  });

  it('are stored nowhere but as a hash', async () => {
    const { value } = await newKey(await newProject());
    const rows = await service.services.database.$queryRaw<{ row: string }[]>`SELECT row_to_json(k)::text AS row FROM api_keys k`;
    expect(rows.some(({ row }) => row.includes(value.slice(12)))).toBe(false);
  });

  it('are hidden where a message quotes them', async () => {
    const { value } = await newKey(await newProject());
    const quoted = refusal(await service.inject({ url: `/v1/files/${value}` }));
    expect(quoted).toMatchObject({ status: 404, message: expect.stringContaining('There is no file "***"') });
    expect(JSON.stringify(quoted)).not.toContain(value);
  });

  it('that have expired are refused', async () => {
    const { value, id } = await newKey(await newProject(), { expires_in_seconds: 3600 });
    await clientWith(value).files.list();
    await service.services.database.apiKey.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    service.services.access.forget();
    await expect(clientWith(value).files.list()).rejects.toMatchObject({ status: 401, message: expect.stringContaining('expired at') });
  });

  it('do only what their scopes allow', async () => {
    const project = await newProject();
    const reader = clientWith((await newKey(project, { scopes: ['read'] })).value);
    const writer = clientWith((await newKey(project, { scopes: ['write'] })).value);
    const { id } = await writer.files.create(dataset());
    expect((await reader.files.retrieve(id)).id).toBe(id);
    await expect(reader.files.create(dataset())).rejects.toMatchObject({ status: 403, code: 'missing_scope' });
    await expect(reader.files.delete(id)).rejects.toMatchObject({ status: 403, code: 'missing_scope' });
    await expect(writer.files.retrieve(id)).rejects.toMatchObject({ status: 403, code: 'missing_scope' });
    for (const key of [reader, writer]) {
      const { projects } = clientWith('unused', { adminAPIKey: key.apiKey }).admin.organization;
      await expect(projects.list()).rejects.toMatchObject({ status: 403, message: expect.stringContaining('lacks the scope "admin"') });
    }
    expect(refusal(await service.post(`/v1/organization/projects/${project}/api_keys`, { name: 'a', scopes: ['admin'] }))).toMatchObject({
      status: 400,
    });
  });

  it('go with the organization and project that the headers name', async () => {
    const project = await newProject();
    const { value } = await newKey(project);
    const other = await newProject();
    expect((await clientWith(value, { organization: 'graft', project }).files.list()).data).toEqual([]);
    await expect(clientWith(value, { organization: 'acme' }).files.list()).rejects.toMatchObject({ status: 401, code: 'mismatched_organization' });
    await expect(clientWith(value, { project: other }).files.list()).rejects.toMatchObject({ status: 401, code: 'mismatched_project' });
    await expect(clientWith(value, { project: 'proj_none' }).files.list()).rejects.toMatchObject({ status: 401, code: 'mismatched_project' });
  });
});

describe('the root key and the keys of an organization', () => {
  it('work in the default project, or in the one that OpenAI-Project names', async () => {
    const project = await newProject();
    const inProject = clientWith(API_KEY, { project });
    const file = await inProject.files.create(dataset());
    const made = await administrator().adminAPIKeys.create({ name: 'provisioning' });
    for (const key of [API_KEY, made.value]) {
      expect((await clientWith(key, { project }).files.retrieve(file.id)).id).toBe(file.id);
      await expect(clientWith(key).files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
      await expect(clientWith(key, { project: 'proj_none' }).files.list()).rejects.toMatchObject({ status: 401, code: 'mismatched_project' });
    }
  });

  it('of an organization are created, retrieved, listed and deleted by the official client', async () => {
    const { adminAPIKeys } = administrator();
    const made = await adminAPIKeys.create({ name: 'one', expires_in_seconds: 3600 });
    expect(made).toMatchObject({ object: 'organization.admin_api_key', value: expect.stringMatching(/^sk-admin-/), expires_at: expect.any(Number) });
    const { value, ...shown } = made;
    const client = clientWith('unused', { adminAPIKey: value }).admin.organization;
    expect(await client.adminAPIKeys.retrieve(made.id)).toEqual({ ...shown, last_used_at: expect.any(Number) });
    const second = await client.adminAPIKeys.create({ name: 'two' });
    const ids = await all(client.adminAPIKeys.list({ limit: 1, order: 'desc' }));
    expect(ids.slice(0, 2)).toEqual([second.id, made.id]);
    expect(await client.adminAPIKeys.delete(made.id)).toEqual({ id: made.id, object: 'organization.admin_api_key.deleted', deleted: true });
    await expect(client.adminAPIKeys.list()).rejects.toMatchObject({ status: 401 });
    await expect(client.adminAPIKeys.retrieve(second.id)).rejects.toMatchObject({ status: 401 });
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', `Basic ${API_KEY}`, `Bearer ${API_KEY}s`, 'Bearer sk-proj-none', 'Bearer sk-admin-none'])(
    'are not %j',
    async (authorization) => {
      const response = await service.app.inject({ url: '/v1/files', headers: authorization === undefined ? {} : { authorization } });
      expect(refusal(response)).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' });
    },
  );
});

describe('service accounts', () => {
  it('are created with a key, renamed, listed, given another key and deleted with their keys by the official client', async () => {
    const project_id = await newProject();
    const { serviceAccounts, apiKeys } = administrator().projects;
    const account = await serviceAccounts.create(project_id, { name: 'pipeline' });
    expect(account).toMatchObject({ object: 'organization.project.service_account', name: 'pipeline', role: 'member' });
    const first = account.api_key!;
    expect(first.value).toMatch(/^sk-svcacct-/);
    const shown = await apiKeys.retrieve(first.id, { project_id });
    expect(shown.owner).toMatchObject({ type: 'service_account', service_account: { id: account.id, name: 'pipeline' } });
    await expect(apiKeys.delete(first.id, { project_id })).rejects.toMatchObject({ status: 400, message: expect.stringContaining(account.id) });
    const second = await serviceAccounts.apiKeys.create(account.id, { project_id, scopes: ['read'] });
    await clientWith(second.value).files.list();
    expect(await serviceAccounts.update(account.id, { project_id, name: 'nightly' })).toMatchObject({ id: account.id, name: 'nightly' });
    expect(await serviceAccounts.retrieve(account.id, { project_id })).toMatchObject({ name: 'nightly' });
    const keyless = await serviceAccounts.create(project_id, { name: 'later', create_service_account_only: true });
    expect(keyless.api_key).toBeNull();
    expect(await all(serviceAccounts.list(project_id, { limit: 1 }))).toEqual([keyless.id, account.id]);
    expect(await serviceAccounts.delete(account.id, { project_id })).toEqual({
      id: account.id,
      object: 'organization.project.service_account.deleted',
      deleted: true,
    });
    for (const { value } of [first, second]) await expect(clientWith(value).files.list()).rejects.toMatchObject({ status: 401 });
    await expect(serviceAccounts.retrieve(account.id, { project_id })).rejects.toMatchObject({ status: 404, code: 'service_account_not_found' });
  });
});

describe('rate limits', () => {
  it('of a project count all its keys, say how much is left, and refuse with retry-after', async () => {
    const project_id = await newProject();
    const { rateLimits } = administrator().projects;
    const [limit] = (await rateLimits.listRateLimits(project_id)).data;
    expect(limit).toMatchObject({ object: 'project.rate_limit', max_requests_per_1_minute: 2 ** 31 - 1 });
    await rateLimits.updateRateLimit(limit!.id, { project_id, max_requests_per_1_minute: 3 });
    const [one, two] = [await newKey(project_id), await newKey(project_id)];
    const ask = ({ value }: NewKey) => service.app.inject({ url: '/v1/files', headers: { authorization: `Bearer ${value}` } });
    const answers = [await ask(one), await ask(two), await ask(one)];
    expect(
      answers.map(({ statusCode, headers }) => [statusCode, headers['x-ratelimit-limit-requests'], headers['x-ratelimit-remaining-requests']]),
    ).toEqual(['2', '1', '0'].map((left) => [200, '3', left]));
    const refused = await ask(two);
    expect(refusal(refused)).toMatchObject({ status: 429, code: 'rate_limit_exceeded', message: expect.stringContaining('3 requests a minute') });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.headers['x-ratelimit-reset-requests']).toMatch(/^\d+ms$/);
    await expect(clientWith(one.value).files.list()).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    expect((await service.inject({ url: '/v1/files' })).headers['x-ratelimit-limit-requests']).toBeUndefined();
    await rateLimits.updateRateLimit(limit!.id, { project_id, max_requests_per_1_minute: 2 ** 31 - 1 });
    expect((await ask(one)).statusCode).toBe(200);
  });

  it('are counted by all processes of the API together', async () => {
    const { value } = await newKey(await newProject(), { max_requests_per_1_minute: 10_000 });
    const other = await buildApp(service.services, { apiKey: API_KEY });
    const left = async (app: FastifyInstance) => {
      const { headers } = await app.inject({ url: '/v1/files', headers: { authorization: `Bearer ${value}` } });
      return Number(headers['x-ratelimit-remaining-requests']);
    };
    try {
      // As soon as it is connected: before that, it counts for itself.
      const takenByTwo = async () => (await left(service.app)) - ((await left(other)) && (await left(service.app)));
      await expect.poll(takenByTwo).toBe(2);
    } finally {
      await other.close();
    }
  });

  it('of a key are its own', async () => {
    const project = await newProject();
    const limited = await newKey(project, { max_requests_per_1_minute: 1 });
    await clientWith(limited.value).files.list();
    await expect(clientWith(limited.value).files.list()).rejects.toMatchObject({ status: 429 });
    await clientWith((await newKey(project)).value).files.list();
  });
});

describe('the audit log', () => {
  it('has every change with who, what, where and the result, for the official client', async () => {
    const project_id = await newProject();
    const key = await newKey(project_id, { scopes: ['write'] });
    const file = await clientWith(key.value).files.create(dataset());
    await expect(clientWith(key.value).files.retrieve(file.id)).rejects.toMatchObject({ status: 403 });
    await expect(clientWith(key.value).fineTuning.jobs.cancel('ftjob-none')).rejects.toMatchObject({ status: 404 });
    const entries = async () => (await administrator().auditLogs.list({ project_ids: [project_id] })).data as unknown as Record<string, unknown>[];
    await expect.poll(async () => (await entries()).length).toBe(2);
    expect(await entries()).toMatchObject([
      { type: 'cancelFineTuningJob', object_id: 'ftjob-none', status: 404 },
      {
        type: 'createFile',
        actor: { type: 'api_key', api_key: { id: key.id } },
        project: { id: project_id },
        method: 'POST',
        route: '/v1/files',
        object_id: file.id,
        status: 200,
        ip_address: '127.0.0.1',
      },
    ]);
    const made = (await administrator().auditLogs.list({ event_types: ['project.created'], limit: 1 })).data;
    expect(made).toMatchObject([{ type: 'project.created', object_id: project_id, actor: { api_key: { id: 'key_root' } } }]);
    const ofKey = await all(administrator().auditLogs.list({ actor_ids: [key.id], limit: 1 }));
    expect(ofKey).toHaveLength(2);
    expect((await administrator().auditLogs.list({ project_ids: [project_id], before: ofKey[1]! })).data).toMatchObject([{ id: ofKey[0] }]);
    expect((await administrator().auditLogs.list({ project_ids: [project_id], effective_at: { lt: 1 } })).data).toEqual([]);
  });
});

describe('the rest of the administration of an organization', () => {
  it('is a 404 that says what there is', async () => {
    const { users, invites } = administrator();
    for (const ask of [() => users.list(), () => invites.create({ email: 'a@b.c', role: 'reader' })])
      await expect(ask()).rejects.toMatchObject({
        status: 404,
        code: 'not_found',
        message: expect.stringContaining('projects, with their api_keys'),
      });
  });
});
