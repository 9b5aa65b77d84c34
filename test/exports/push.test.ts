import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningWorker } from '../../workers/worker.ts';
import { type HubServer, startHub } from '../hub/hub-server.ts';
import { repository } from '../hub/repository.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { sha256 } from '../sha256.ts';
import { startWorkerWithoutTraining } from '../worker-without-training.ts';
import { endOfExport } from './end-of-export.ts';
import { storeTunedModel } from './tuned-model.ts';

interface ExportBody {
  id: string;
  status: string;
  files: { name: string; bytes: number; sha256: string }[];
  hub: { repo_id: string; revision: string; commit: string | null; url: string | null } | null;
  error: { code: string; message: string } | null;
}

const TOKEN = `hf_${'u'.repeat(34)}`;
const OPERATORS = `hf_${'o'.repeat(34)}`;

let hub: HubServer;
let service: RunningService;
let worker: RunningWorker | undefined;
let model: string;

const startExporting = async () => {
  worker = await startWorkerWithoutTraining(service.services);
};

beforeAll(async () => {
  hub = await startHub();
  hub.writers.set(TOKEN, 'user').set(OPERATORS, 'operator');
  service = await runService({ CHAT_REQUESTS: '0', CHAT_NICE: '0', HF_ENDPOINT: hub.url, HF_TOKEN: OPERATORS, ALLOW_HUB_PUSH: 'operator/shared' });
  ({ model } = await storeTunedModel(service));
  await startExporting();
});
afterAll(async () => {
  await worker?.stop();
  await service?.close();
  await hub?.close();
});

const ask = (to: object, format = 'peft_adapter', more = {}) => service.post('/v1/exports', { model, format, hub: to, ...more });
const ended = (id: string) => endOfExport<ExportBody>(service, id);

async function push(to: object, format?: string, more?: object): Promise<ExportBody> {
  const response = await ask(to, format, more);
  expect(response.json()).toMatchObject({ status: 'queued' });
  return ended(response.json<ExportBody>().id);
}

const filesAt = (repo: string, branch = 'main') => {
  const { refs, commits } = hub.repositories.get(repo)!;
  return commits.get(refs.get(branch)!)!;
};
const hashesAt = (repo: string, branch?: string) => Object.fromEntries([...filesAt(repo, branch)].map(([name, bytes]) => [name, sha256(bytes)]));
const hashesOf = ({ files }: ExportBody) => Object.fromEntries(files.map((file) => [file.name, file.sha256]));

describe('an export to the hub', () => {
  it('makes a private repository with the files, and says where they are', async () => {
    const one = await push({ repo_id: 'user/greeter', token: TOKEN });
    expect(one).toMatchObject({ status: 'succeeded', hub: { repo_id: 'user/greeter', private: true, revision: 'main' } });
    const { refs, isPrivate } = hub.repositories.get('user/greeter')!;
    expect([isPrivate, one.hub]).toEqual([true, expect.objectContaining({ commit: refs.get('main'), url: `${hub.url}/user/greeter` })]);
    expect(hashesAt('user/greeter')).toMatchObject(hashesOf(one));
    expect(filesAt('user/greeter').get('README.md')!.toString()).toContain('library_name: peft');
  });

  it('sends a large file in parts, to a branch of its own', async () => {
    const one = await push({ repo_id: 'user/greeter', revision: 'merged', token: TOKEN }, 'gguf', { dtype: 'q8_0' });
    expect(one).toMatchObject({ status: 'succeeded', hub: { url: `${hub.url}/user/greeter/tree/merged` } });
    expect(hashesAt('user/greeter', 'merged')).toMatchObject(hashesOf(one));
    expect(filesAt('user/greeter').has('model-q8_0.gguf')).toBe(false);
    expect(hub.requests.filter((request) => request.startsWith('PUT /storage/')).length).toBeGreaterThan(2);
  });

  it('keeps the token of a user encrypted while it is needed, shows it nowhere, and forgets it', async () => {
    const response = await ask({ repo_id: 'user/other', token: TOKEN });
    const { id } = response.json<ExportBody>();
    const row = await service.services.database.export.findUniqueOrThrow({ where: { id } });
    expect(JSON.stringify(await service.services.exports.find('graft', id)) + response.body).not.toContain(TOKEN);
    if (row.hubToken !== null) expect(await service.services.secrets.open(row.hubToken, id)).toBe(TOKEN);
    await ended(id);
    expect((await service.services.database.export.findUniqueOrThrow({ where: { id } })).hubToken).toBeNull();
  });

  it("uses the operator's token only for repositories that the operator allows", async () => {
    expect(refusal(await ask({ repo_id: 'operator/else' }))).toMatchObject({ status: 403, code: 'hub_push_not_allowed', param: 'hub.repo_id' });
    expect(refusal(await ask({ repo_id: 'not-a-repository', token: TOKEN }))).toMatchObject({ status: 400, param: 'hub.repo_id' });
    expect(await push({ repo_id: 'operator/shared', private: false })).toMatchObject({ status: 'succeeded' });
    expect(hub.repositories.get('operator/shared')!.isPrivate).toBe(false);
  });

  it.each([
    ['a token that the hub does not know', { repo_id: 'user/x', token: `hf_${'w'.repeat(34)}` }, 'hub_token_refused', 'does not accept hub.token'],
    ['a namespace of others', { repo_id: 'others/x', token: TOKEN }, 'hub_push_forbidden', 'may not write to "others/x"'],
    ['a repository that is public', { repo_id: 'user/public', token: TOKEN }, 'hub_repository_is_public', 'is public'],
  ])('for %s › fails and says so, and its files can be downloaded', async (_, to, code, message) => {
    hub.repositories.set('user/public', repository(new Map()));
    const one = await push(to);
    expect(one).toMatchObject({ status: 'failed', error: { code, message: expect.stringContaining(message) } });
    expect(one.error!.message).not.toContain('hf_');
    expect((await service.inject({ url: `/v1/exports/${one.id}/content` })).statusCode).toBe(200);
  });

  it('while the hub is busy or another commit comes between › tries again', async () => {
    const statuses = [429, 412];
    hub.refusing = (request) => (request.includes('/commit/') ? statuses.shift() : undefined);
    expect(await push({ repo_id: 'user/busy', token: TOKEN })).toMatchObject({ status: 'succeeded' });
    expect(statuses).toEqual([]);
  });

  it('whose worker stops between files and commit › is pushed by the next one, which makes and sends nothing again', async () => {
    const { services } = service;
    let onReached = () => {};
    const reached = new Promise<void>((resolve) => {
      onReached = resolve;
    });
    hub.refusing = async (request) => {
      if (!request.includes('/commit/')) return;
      onReached();
      await delay(60_000, undefined, { ref: false });
      return 500;
    };
    const { id } = (await ask({ repo_id: 'user/resumed', token: TOKEN })).json<ExportBody>();
    await reached;
    const before = await services.database.export.findUniqueOrThrow({ where: { id } });
    await worker!.stop();
    hub.refusing = null;
    hub.requests.length = 0;
    await startExporting();
    const one = await ended(id);
    expect(one).toMatchObject({ status: 'succeeded', files: before.files });
    expect(hub.requests.filter((request) => request.startsWith('PUT'))).toEqual([]);
    expect(hashesAt('user/resumed')).toMatchObject(hashesOf(one));
    expect((await services.database.export.findUniqueOrThrow({ where: { id } })).folder).toBe(before.folder);
  });
});
