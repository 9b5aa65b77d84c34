import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fineTunedModelName } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import { API_KEY, type RunningService, runService } from '../running-service.ts';

let service: RunningService;
let administrator: OpenAI;
let other: { project: string; client: OpenAI; key: string };
beforeAll(async () => {
  service = await runService();
  const baseURL = `${service.address}/v1`;
  administrator = new OpenAI({ baseURL, apiKey: 'unused', adminAPIKey: API_KEY, maxRetries: 0 });
  const project = await newProject();
  const key = (await service.post(`/v1/organization/projects/${project}/api_keys`, { name: 'a key' })).json().value;
  other = { project, key, client: new OpenAI({ baseURL, apiKey: key, maxRetries: 0 }) };
});
afterAll(() => service.close());

const newProject = async (): Promise<string> => (await administrator.admin.organization.projects.create({ name: 'other' })).id;

/** A job of the default project that has succeeded, with a checkpoint after each of two steps. */
async function tunedModel() {
  const { jobs, jobRecord, objectStore } = service.services;
  const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: await service.upload() })).json();
  const job = (await jobs.claim(id, 'worker-a'))!;
  await jobs.begin(job, { read: { patch: { resolved: { n_epochs: 1 } as never } }, start: {} });
  const names: string[] = [];
  for (const step of [1, 2]) {
    const folder = keys.newCheckpoint(id, job.attempt, step);
    await objectStore.put(`${folder}adapter/adapter_model.safetensors`, `step ${step}`);
    names.push((await jobRecord.addCheckpoint(job, { step, folder, metrics: { step }, files: [] }))!.name);
  }
  const adapterFolder = keys.newDelivery(id, job.attempt);
  await objectStore.put(`${adapterFolder}adapter_model.safetensors`, 'weights');
  const name = fineTunedModelName(job);
  await jobs.succeed(job, { fineTunedModel: name, adapterFolder, trainedTokens: 1, files: [], events: [] });
  return { id, name, checkpoints: names as [string, string] };
}

const permissions = () => administrator.fineTuning.checkpoints.permissions;
const grant = (model: string, ...project_ids: string[]) => permissions().create(model, { project_ids });
const statusOf = async (path: string, method: 'GET' | 'DELETE' = 'GET') =>
  (await service.app.inject({ method, url: `/v1${path}`, headers: { authorization: `Bearer ${other.key}` } })).statusCode;

/** What the other project can do with a model: retrieve it, start a job from it. */
async function uses(model: string) {
  const training_file = (await other.client.files.create({ file: new File(['{"prompt":"a","completion":"b"}\n'], 't.jsonl'), purpose: 'fine-tune' }))
    .id;
  const started = await other.client.fineTuning.jobs.create({ model, training_file }).catch((error: { code: string }) => error.code);
  return [await statusOf(`/models/${encodeURIComponent(model)}`), typeof started === 'string' ? started : started.model];
}

describe('a tuned model', () => {
  it('that is shared with a project › can be retrieved, downloaded and continued there, and nothing else of its job', async () => {
    const { id, name, checkpoints } = await tunedModel();
    const paths = ['/adapter', '/adapter/adapter_model.safetensors', '/checkpoints/1/adapter'];
    const downloads = () => Promise.all(paths.map((path) => statusOf(`/fine_tuning/jobs/${id}${path}`)));
    expect([await uses(name), await downloads()]).toEqual([
      [404, 'model_not_found'],
      [404, 404, 404],
    ]);

    const granted = (await grant(name, other.project)).data;
    expect(granted).toEqual([
      { id: expect.stringMatching(/^cp_/), object: 'checkpoint.permission', created_at: expect.any(Number), project_id: other.project },
    ]);
    expect([await uses(name), await downloads()]).toEqual([
      [200, name],
      [200, 200, 404],
    ]);
    expect(await uses(checkpoints[0])).toEqual([404, 'model_not_found']);
    for (const path of ['', '/events', '/checkpoints', '/receipt', '/checkpoints/2/adapter'])
      expect(await statusOf(`/fine_tuning/jobs/${id}${path}`)).toBe(404);
    expect(await statusOf(`/models/${encodeURIComponent(name)}`, 'DELETE')).toBe(404);

    expect(await permissions().delete(granted[0]!.id, { fine_tuned_model_checkpoint: name })).toEqual({
      id: granted[0]!.id,
      object: 'checkpoint.permission',
      deleted: true,
    });
    expect([await uses(name), await downloads()]).toEqual([
      [404, 'model_not_found'],
      [404, 404, 404],
    ]);
  });

  it('of which one checkpoint is shared › shares that one alone', async () => {
    const { id, name, checkpoints } = await tunedModel();
    await grant(checkpoints[0], other.project);
    expect(await uses(checkpoints[0])).toEqual([200, checkpoints[0]]);
    expect(await uses(checkpoints[1])).toEqual([404, 'model_not_found']);
    expect(await uses(name)).toEqual([404, 'model_not_found']);
    for (const [path, status] of [
      ['/checkpoints/1/adapter', 200],
      ['/checkpoints/2/adapter', 404],
      ['/adapter', 404],
    ] as const)
      expect(await statusOf(`/fine_tuning/jobs/${id}${path}`)).toBe(status);
  });

  it('that is deleted, with its checkpoint › is shared no more', async () => {
    const { name, checkpoints } = await tunedModel();
    for (const model of [name, checkpoints[1]]) await grant(model, other.project);
    await service.client.models.delete(name);
    expect(await uses(name)).toEqual([404, 'model_not_found']);
    await expect(grant(name, other.project)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    const left = await service.services.database.checkpointPermission.count({ where: { model: { in: [name, checkpoints[1]] } } });
    expect(left).toBe(0);
  });
});

describe('the permissions of a model', () => {
  it('are listed in either order, by page and by project, while they are deleted too', async () => {
    const { name } = await tunedModel();
    const projects = [other.project, await newProject(), await newProject()];
    const ids: string[] = [];
    for (const project of projects) ids.push((await grant(name, project)).data[0]!.id);
    expect((await grant(name, projects[1]!, projects[0]!)).data.map(({ id }) => id)).toEqual([ids[1], ids[0]]);

    const list = async (query: object) => {
      const found = [];
      for await (const { id } of permissions().list(name, query)) found.push(id);
      return found;
    };
    expect(await list({ limit: 1 })).toEqual(ids.toReversed());
    expect(await list({ order: 'ascending', limit: 2 })).toEqual(ids);
    expect(await list({ project_id: projects[1] })).toEqual([ids[1]]);
    expect(await permissions().retrieve(name, { limit: 1 })).toMatchObject({ object: 'list', has_more: true, first_id: ids[2], last_id: ids[2] });
    await permissions().delete(ids[2]!, { fine_tuned_model_checkpoint: name });
    expect(await list({ after: ids[2] })).toEqual([ids[1], ids[0]]);
  });

  it('are given only by an administrator, to projects that there are, for models of the organization', async () => {
    const { name } = await tunedModel();
    const withKey = new OpenAI({ baseURL: `${service.address}/v1`, apiKey: 'unused', adminAPIKey: other.key, maxRetries: 0 });
    await expect(withKey.fineTuning.checkpoints.permissions.create(name, { project_ids: [other.project] })).rejects.toMatchObject({ status: 403 });
    await expect(grant(name, other.project, 'proj_none')).rejects.toMatchObject({ status: 400, param: 'project_ids.1' });
    expect((await permissions().list(name)).data).toEqual([]);
    for (const model of ['ft:none', 'graft-tiny'])
      await expect(grant(model, other.project)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    const params = { fine_tuned_model_checkpoint: name };
    await expect(permissions().delete('cp_none', params)).rejects.toMatchObject({ status: 404, code: 'permission_not_found' });
    const { database } = service.services;
    await database.organization.create({ data: { id: 'org-b', name: 'B', defaultProjectId: 'proj_b' } });
    await database.project.create({ data: { id: 'proj_b', organizationId: 'org-b', name: 'B' } });
    await database.job.updateMany({ where: { fineTunedModel: name }, data: { owner: 'proj_b' } });
    await expect(grant(name, other.project)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });
});
