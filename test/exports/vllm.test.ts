import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunningWorker } from '../../workers/worker.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { startWorkerWithoutTraining } from '../worker-without-training.ts';
import { endOfExport } from './end-of-export.ts';
import { storeTunedModel } from './tuned-model.ts';
import { startVllm, type VllmServer } from './vllm-server.ts';

interface ExportBody {
  id: string;
  status: string;
  expires_at: number | null;
  vllm: { name: string } | null;
  error: { code: string; message: string } | null;
}

const KEY = 'key-of-the-vllm-server';
let vllm: VllmServer;
let service: RunningService;
let worker: RunningWorker;
let adaptersDir: string;
let model: string;

beforeAll(async () => {
  adaptersDir = await mkdtemp(join(tmpdir(), 'graft-vllm-'));
  vllm = await startVllm(KEY);
  service = await runService({ CHAT_REQUESTS: '0', VLLM_URL: `${vllm.url}/v1`, VLLM_ADAPTERS_DIR: adaptersDir, VLLM_API_KEY: KEY });
  ({ model } = await storeTunedModel(service));
  worker = await startWorkerWithoutTraining(service.services);
});
afterAll(async () => {
  await worker?.stop();
  await service?.close();
  await vllm?.close();
  await rm(adaptersDir, { recursive: true, force: true });
});

const ask = (to: object, format = 'peft_adapter') => service.post('/v1/exports', { model, format, vllm: to });

async function serve(to: object): Promise<ExportBody> {
  return endOfExport(service, (await ask(to)).json<ExportBody>().id);
}

const soon = { timeout: 30_000, interval: 200 };

describe('an export to vLLM', () => {
  it('is loaded from its directory, stays, is loaded again after a restart of vLLM, and is unloaded when it is deleted', async () => {
    const one = await serve({ name: 'greeter' });
    expect(one).toMatchObject({ status: 'succeeded', vllm: { name: 'greeter' }, expires_at: null });
    const place = join(adaptersDir, 'greeter');
    expect([...vllm.loaded]).toEqual([['greeter', place]]);
    // As vLLM's filesystem resolver wants it.
    expect(JSON.parse(await readFile(join(place, 'adapter_config.json'), 'utf8'))).toMatchObject({
      peft_type: 'LORA',
      base_model_name_or_path: 'graft-tiny',
    });
    vllm.loaded.clear();
    await vi.waitFor(() => expect(vllm.loaded.get('greeter')).toBe(place), soon);
    await service.inject({ method: 'DELETE', url: `/v1/exports/${one.id}` });
    await vi.waitFor(async () => expect([vllm.loaded.size, await readdir(adaptersDir)]).toEqual([0, []]), soon);
  });

  it('has the name of the model by default, and no name twice', async () => {
    const one = await serve({});
    expect(one).toMatchObject({ status: 'succeeded', vllm: { name: model } });
    expect(await serve({})).toMatchObject({ status: 'failed', error: { code: 'vllm_name_taken' } });
    expect(vllm.loaded.has(model)).toBe(true);
    vllm.loaded.set('of-others', '/elsewhere');
    expect(await serve({ name: 'of-others' })).toMatchObject({ status: 'failed', error: { code: 'vllm_name_taken' } });
    expect(vllm.loaded.get('of-others')).toBe('/elsewhere');
  });

  it("fails with vLLM's own words, and leaves nothing behind", async () => {
    vllm.engineError = 'LoRA rank 4 is greater than max_lora_rank 2.';
    const refused = await serve({ name: 'large' });
    vllm.engineError = null;
    expect(refused).toMatchObject({ status: 'failed', error: { code: 'vllm_refused', message: expect.stringContaining('max_lora_rank 2') } });
    vllm.allowsUpdates = false;
    const fixed = await serve({ name: 'fixed' });
    vllm.allowsUpdates = true;
    expect(fixed.error!.message).toContain('VLLM_ALLOW_RUNTIME_LORA_UPDATING=True');
    expect(await readdir(adaptersDir)).toEqual([model]);
  });

  it('is refused for what vLLM does not load, and for a name that would leave the directory', async () => {
    expect(refusal(await ask({}, 'gguf'))).toMatchObject({ status: 400, code: 'unsupported_export', param: 'vllm' });
    expect(refusal(await ask({ name: '../x' }))).toMatchObject({ status: 400, param: 'vllm.name' });
  });
});
