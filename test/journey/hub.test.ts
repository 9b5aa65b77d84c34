import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Lineage } from '../../src/formats/lineage.ts';
import { filesOf, type HubServer, startHub } from '../hub/hub-server.ts';
import { COMMITS, repository } from '../hub/repository.ts';
import { type Api, connect } from './api.ts';
import { sameAnswer } from './dataset.ts';
import { makeHome, startService, until } from './service.ts';

const TINY = fileURLToPath(new URL('../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const WEIGHTS = 'model.safetensors';

let hub: HubServer;
let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let api: Api;
let training_file: string;
beforeAll(async () => {
  hub = await startHub();
  const files = await filesOf(TINY);
  hub.repositories.set('org/tiny', repository(files));
  hub.repositories.set('org/other', repository(files));
  hub.repositories.set('org/gated', { ...repository(files), gatedFor: 'hf_secret' });
  home = await makeHome();
  service = await startService(home, { workers: 1 }, { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_wrong', ALLOW_MODEL_DOWNLOAD: 'org/*' });
  api = connect(service.url);
  await api.model('tiny');
  training_file = await api.upload(sameAnswer(8));
});
afterAll(async () => {
  await service?.stop();
  await home?.remove();
  await hub?.close();
});
beforeEach(() => {
  hub.served.length = 0;
  hub.trouble = null;
});

const hyperparameters = { n_epochs: 1, batch_size: 8 };
const create = (model: string) => api.create({ model, training_file, hyperparameters, tuning: { type: 'lora', r: 2 } });
const messages = async (id: string) => (await api.events(id)).map(({ message }) => message).join('\n');
const servedWeights = () => hub.served.filter(({ file }) => file === WEIGHTS);

describe('a job on a model from the hub', () => {
  it('reports the size first, downloads the model, and names the commit in adapter and lineage', async () => {
    expect(await api.modelObject('org/tiny')).toMatchObject({ owned_by: 'org', family: 'llama', revision: COMMITS[0], downloaded: false });
    const job = await api.over((await create('org/tiny')).id);
    expect(job.error).toBeNull();
    expect(job.status).toBe('succeeded');
    expect(await messages(job.id)).toMatch(/Downloading org\/tiny@aaaaaaa: 0\.4 MB\nDownloaded and verified org\/tiny@aaaaaaa/);
    const lineage = await api.report<Lineage>(job.id, 'lineage');
    expect(lineage.base_model).toMatchObject({ name: 'org/tiny', revision: COMMITS[0] });
    const config = JSON.parse(String((await api.adapter(job.id)).get('adapter_config.json'))) as Record<string, unknown>;
    expect(config).toMatchObject({ base_model_name_or_path: 'org/tiny', revision: COMMITS[0] });
    await until('the model in the list', async () => (await api.models()).some(({ id }) => id === 'org/tiny'));
    expect(await api.modelObject('org/tiny')).toMatchObject({ family: 'llama', revision: COMMITS[0], downloaded: true });
  });

  it('downloads nothing after another on the same commit, whatever the branch is called', async () => {
    hub.repositories.get('org/tiny')!.refs.set('v1', COMMITS[0]);
    const job = await api.over((await create('org/tiny@v1')).id);
    expect(job.status).toBe('succeeded');
    expect(servedWeights()).toEqual([]);
    expect(await messages(job.id)).not.toMatch(/Downloading/);
  });

  it('trains on the commit that the name referred to when the job was created, even if the branch moves during the download', async () => {
    const moving = hub.repositories.get('org/other')!;
    moving.commits.set(COMMITS[1], new Map());
    hub.trouble = (file) => {
      if (file === WEIGHTS) moving.refs.set('main', COMMITS[1]);
      return undefined;
    };
    const job = await api.over((await create('org/other')).id);
    expect(job.error).toBeNull();
    expect((await api.report<Lineage>(job.id, 'lineage')).base_model.revision).toBe(COMMITS[0]);
    moving.refs.set('main', COMMITS[0]);
  });

  it('stops at once when cancelled during the download, which the next job resumes', async () => {
    await rm(join(home.dataDir, 'hub'), { recursive: true });
    let release = () => {};
    const held = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
    hub.trouble = (file, sent) => (file === WEIGHTS && sent >= 128 * 1024 ? held : undefined);
    const { id } = await create('org/tiny');
    const partial = join(home.dataDir, 'hub/org/tiny', `${COMMITS[0]}.partial`, WEIGHTS);
    await until(
      'its first bytes',
      () =>
        servedWeights().length === 1 &&
        stat(partial).then(
          ({ size }) => size > 0,
          () => false,
        ),
    );
    await api.cancel(id);
    expect((await api.job(id)).status).toBe('cancelled');
    hub.trouble = null;
    const next = await api.over((await create('org/tiny')).id);
    release();
    expect(next.status).toBe('succeeded');
    expect(servedWeights().at(-1)!.from).toBeGreaterThan(0);
  });

  it('fails and names the file if the download is corrupt', async () => {
    await rm(join(home.dataDir, 'hub'), { recursive: true });
    hub.trouble = (file) => (file === WEIGHTS ? 'corrupt' : undefined);
    const job = await api.over((await create('org/tiny')).id);
    expect(job).toMatchObject({
      status: 'failed',
      error: { code: 'corrupt_download', param: 'model', message: expect.stringMatching(/model\.safetensors/) },
    });
  });
});

describe('a request for a job', () => {
  it.each([
    ['a missing model', 'org/none', 404, 'model_not_found'],
    ['a missing revision', 'org/tiny@none', 404, 'revision_not_found'],
    ['a gated model', 'org/gated', 403, 'model_gated'],
    ['a model that may not be downloaded', 'elsewhere/tiny', 403, 'model_download_not_allowed'],
  ])('for %s is refused immediately', async (_, model, status, code) => {
    await expect(create(model)).rejects.toThrow(new RegExp(`${status}.*"code":"${code}"`));
  });

  it('never logs the token', async () => {
    expect(JSON.stringify(service.log)).not.toContain('hf_wrong');
  });
});
