import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { trainingEnvironment } from '../../../src/config.ts';
import { ORGANIZATION } from '../../../src/ids.ts';
import { keys } from '../../../src/object-store/keys.ts';
import type { ObjectStore } from '../../../src/object-store/object-store.ts';
import { openFileHashes } from '../../../workers/engine/io/base-model-files.ts';
import { type Supervision, superviseJob } from '../../../workers/job/supervise.ts';
import type { Place } from '../../../workers/placement/places.ts';
import { type ForkedTraining, forkTraining } from '../../../workers/process/forked.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { type RunningService, refusal, runService } from '../../running-service.ts';

const tiny = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const WEIGHTS = 'adapter_model.safetensors';

let service: RunningService;
let workDir: string;
let trainingFile: string;
const processes: ForkedTraining[] = [];

beforeAll(async () => {
  service = await runService();
  workDir = await mkdtemp(join(tmpdir(), 'graft-supervisor-'));
  trainingFile = await service.upload(sameAnswer(8));
});
afterEach(() => Promise.all(processes.splice(0).map((one) => one.kill())));
afterAll(async () => {
  await service?.close();
  await rm(workDir, { recursive: true, force: true });
});

async function makeJob(): Promise<string> {
  const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate: 0.01 };
  const body = { model: 'graft-tiny', training_file: trainingFile, seed: 5, tuning: { type: 'lora', r: 4 }, hyperparameters };
  return (await service.post('/v1/fine_tuning/jobs', body)).json<{ id: string }>().id;
}

/** What goes differently than in an undisturbed run. */
type Disturbances = Partial<Pick<Supervision, 'stopping'> & Pick<Place, 'takeProcess' | 'trained'> & { services: Partial<Supervision['services']> }>;

/** Takes real training processes, and `verify` in place of their own. */
function takeProcessWith(verify: (training: ForkedTraining, dir: string) => ReturnType<ForkedTraining['verify']>) {
  return () => {
    const training = fork();
    return { ...training, verify: (dir: string) => verify(training, dir) };
  };
}

/** Supervises one job with the service's own stores and a real training process, except for what is disturbed. */
function supervise(jobId: string, { services = {}, takeProcess = fork, trained = () => {}, ...rest }: Disturbances = {}) {
  return superviseJob(jobId, {
    services: { ...service.services, ...services },
    workerId: 'worker-a',
    workDir,
    modelDir: () => tiny,
    baseModelFiles: openFileHashes(),
    takePlace: async () => ({ takeProcess, trained, leave: () => {} }),
    stopping: new AbortController().signal,
    log: service.services.log,
    ...rest,
  });
}

function fork(): ForkedTraining {
  const training = forkTraining({ env: trainingEnvironment() });
  processes.push(training);
  return training;
}

/** The object store, except that `change` is applied to the adapter's weights when they are read. */
function storeWithWeights(change: (content: Buffer) => Buffer): ObjectStore {
  const { objectStore } = service.services;
  return {
    ...objectStore,
    get: async (key) =>
      key.startsWith('jobs/') && key.endsWith(`/adapter/${WEIGHTS}`) && !key.includes('checkpoints')
        ? Readable.from([change(await buffer(await objectStore.get(key)))])
        : objectStore.get(key),
  };
}

const get = (jobId: string, path = '') => service.inject({ url: `/v1/fine_tuning/jobs/${jobId}${path}` });
const weights = async (jobId: string) => (await get(jobId, `/adapter/${WEIGHTS}`)).rawPayload;
const models = async () => (await service.client.models.list()).data.map(({ id }) => id);
const stored = (jobId: string) => service.services.objectStore.list(keys.adapter(jobId));

/** What reconcile does with a job whose heartbeat has stopped. */
const workerWasLost = (jobId: string) => service.services.jobs.move(jobId, 'requeue');

describe('a supervised job', () => {
  let undisturbed: Buffer;
  beforeAll(async () => {
    const id = await makeJob();
    await supervise(id);
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    undisturbed = await weights(id);
  });

  it('calls `trained` once, after its last step and before its proof', async () => {
    const events: string[] = [];
    const takeProcess = () => {
      const training = fork();
      return {
        ...training,
        async *train(options: Parameters<ForkedTraining['train']>[0]) {
          for await (const answer of training.train(options)) {
            if (answer.answer === 'step') events.push(`step ${answer.report.step}`);
            yield answer;
          }
        },
        verify(dir: string) {
          events.push('proof');
          return training.verify(dir);
        },
      };
    };
    await supervise(await makeJob(), { takeProcess, trained: () => void events.push('trained') });
    expect(events).toEqual(['step 1', 'step 2', 'step 3', 'step 4', 'trained', 'proof']);
  });

  it('whose weights come back from storage with one bit flipped › fails, names the file and leaves nothing behind', async () => {
    const id = await makeJob();
    const flipped = storeWithWeights((content) => {
      content[content.length - 1]! ^= 1;
      return content;
    });
    await supervise(id, { services: { objectStore: flipped } });
    const job = (await get(id)).json();
    expect(job).toMatchObject({ status: 'failed', fine_tuned_model: null, result_files: [] });
    expect(job.error).toEqual({
      code: 'proof_failed',
      param: null,
      message: expect.stringMatching(/adapter_model\.safetensors came back with different content \(sha256/),
    });
    expect((await get(id, '/proof')).json()).toMatchObject({ passed: false, loss: null, problems: [expect.stringContaining(WEIGHTS)] });
    expect(await stored(id)).toEqual([]);
    expect(refusal(await get(id, '/adapter'))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    expect((await models()).filter((model) => model.endsWith(id.slice(-8)))).toEqual([]);
  });

  it('whose weights come back truncated › fails and names both sizes', async () => {
    const id = await makeJob();
    await supervise(id, { services: { objectStore: storeWithWeights((content) => content.subarray(0, 100)) } });
    const { status, error } = (await get(id)).json();
    expect(status).toBe('failed');
    expect(error.message).toMatch(/adapter_model\.safetensors came back with 100 bytes; \d{4,} were stored/);
  });

  it('whose process dies during its proof › resumes from the last checkpoint and delivers the same adapter', async () => {
    const id = await makeJob();
    let deaths = 0;
    const takeProcess = takeProcessWith(async (training, dir) => {
      if (deaths++ === 0) await training.kill();
      return training.verify(dir);
    });
    await supervise(id, { takeProcess });
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(deaths).toBe(2);
    expect(await weights(id)).toEqual(undisturbed);
    expect((await get(id, '/proof')).json()).toMatchObject({ passed: true, problems: [] });
  });

  it('whose worker is lost between upload and proof, and again just before success › succeeds in the end, with each file listed once', async () => {
    const id = await makeJob();
    const broken = storeWithWeights(() => {
      throw new Error('the store is down');
    });
    await expect(supervise(id, { services: { objectStore: broken } })).rejects.toThrow('the store is down');
    expect((await stored(id)).length).toBeGreaterThan(0);
    expect((await get(id)).json()).toMatchObject({ status: 'running', result_files: [] });
    for (const path of ['/adapter', '/proof']) expect(refusal(await get(id, path))).toMatchObject({ status: 404 });

    await workerWasLost(id);
    const { jobs } = service.services;
    const move: typeof jobs.move = (...args) => (args[1] === 'succeed' ? Promise.reject(new Error('the database is down')) : jobs.move(...args));
    await expect(supervise(id, { services: { jobs: { ...jobs, move } } })).rejects.toThrow('the database is down');
    expect((await get(id)).json()).toMatchObject({ status: 'running', fine_tuned_model: null, result_files: [] });

    await workerWasLost(id);
    await supervise(id);
    const job = (await get(id)).json();
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    expect(await weights(id)).toEqual(undisturbed);
    const { data } = await service.services.files.list(ORGANIZATION, { purpose: 'fine-tune-results', order: 'asc', limit: 1000 });
    const mine = data.filter(({ storageKey, id: file }) => storageKey.startsWith(keys.job(id)) || job.result_files.includes(file));
    expect(mine.map((file) => file.id).sort()).toEqual([...job.result_files].sort());
    expect(mine.map(({ filename }) => filename).sort()).toEqual(['adapter_config.json', WEIGHTS, 'graft_manifest.json', 'step_metrics.csv']);
  });

  it('whose worker is lost before the first checkpoint › keeps the precision that was chosen, whichever is fastest on the next machine', async () => {
    const id = await makeJob();
    const precisions: unknown[] = [];
    const dying = () => {
      const training = fork();
      return {
        ...training,
        async *train(options: Parameters<ForkedTraining['train']>[0]) {
          precisions.push(options.hyperparameters.precision);
          for await (const answer of training.train(options)) {
            if (answer.answer === 'step' && precisions.length === 1) throw new Error('the worker is lost');
            yield answer;
          }
        },
      };
    };
    await expect(supervise(id, { takeProcess: dying })).rejects.toThrow('the worker is lost');
    const { precision } = (await service.services.jobs.findAny(id))!.resolved!;
    await workerWasLost(id);
    await supervise(id, { takeProcess: dying });
    expect(precisions).toEqual([undefined, precision]);
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
  });

  it('whose worker is told to stop when its proof is about to begin › goes back to the queue, and the next worker delivers the same adapter', async () => {
    const id = await makeJob();
    const stopping = new AbortController();
    const takeProcess = takeProcessWith((training, dir) => {
      stopping.abort();
      return training.verify(dir);
    });
    await supervise(id, { takeProcess, stopping: stopping.signal });
    expect((await get(id)).json()).toMatchObject({ status: 'queued', fine_tuned_model: null, result_files: [] });

    await supervise(id);
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await weights(id)).toEqual(undisturbed);
  });

  it('whose worker is told to stop after its proof › succeeds', async () => {
    const id = await makeJob();
    const stopping = new AbortController();
    const takeProcess = takeProcessWith(async (training, dir) => {
      const answer = await training.verify(dir);
      stopping.abort();
      return answer;
    });
    await supervise(id, { takeProcess, stopping: stopping.signal });
    expect((await get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await weights(id)).toEqual(undisturbed);
  });

  it('that is cancelled during its proof › leaves no files behind', async () => {
    const id = await makeJob();
    const takeProcess = takeProcessWith(async (training, dir) => {
      await service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
      return training.verify(dir);
    });
    await supervise(id, { takeProcess });
    expect((await get(id)).json()).toMatchObject({ status: 'cancelled', fine_tuned_model: null, result_files: [] });
    expect(await stored(id)).toEqual([]);
  });
});
