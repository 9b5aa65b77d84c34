import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEARTBEAT_TIMEOUT_MS } from '../../src/jobs/attempt-store.ts';
import { type Api, connect } from './api.ts';
import { sameAnswer } from './dataset.ts';
import { makeHome, type Program, startService, startWorker, until } from './service.ts';

let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let worker: Program;
let api: Api;
let training_file: string;

beforeAll(async () => {
  home = await makeHome();
  service = await startService(home, { workers: 0 });
  worker = startWorker(home);
  api = connect(service.url);
  await api.model('tiny');
  training_file = await api.upload(sameAnswer(24));
});
afterAll(async () => {
  await worker?.stop();
  await service?.stop();
  await home?.remove();
});

const job = (hyperparameters: object = {}) => ({
  model: 'tiny',
  training_file,
  seed: 3,
  tuning: { type: 'lora', r: 4, lora_dropout: 0.1 },
  hyperparameters: { n_epochs: 6, batch_size: 4, save_steps: 5, ...hyperparameters },
});
const STEPS = 36;
const endless = () => job({ n_epochs: 50, batch_size: 1 });

/** The newest training process that this worker gave the job to. */
const trainingPid = (program: Program, jobId: string) =>
  until(
    'a training process',
    () => program.log.findLast((line) => line['jobId'] === jobId && line.msg.startsWith('training process takes'))?.['trainingPid'] as number,
  );

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Expects each step once in the events and in the results file, and the same adapter as from an undisturbed run. */
async function expectUndisturbed(id: string, undisturbed: string): Promise<void> {
  expect(await api.over(id)).toMatchObject({ status: 'succeeded', error: null });
  const steps = (await api.events(id)).filter(({ type }) => type === 'metrics').map(({ data }) => data!['step']);
  expect(steps).toEqual(Array.from({ length: STEPS }, (_, index) => index + 1));
  const { result_files } = await api.job(id);
  expect((await api.content(result_files[0]!)).toString().trim().split('\n')).toHaveLength(STEPS + 1);
  const [mine, theirs] = [await api.adapter(id), await api.adapter(undisturbed)];
  expect(mine.get('adapter_model.safetensors')!.equals(theirs.get('adapter_model.safetensors')!)).toBe(true);
}

describe('a running job', () => {
  let undisturbed: string;
  beforeAll(async () => {
    undisturbed = (await api.create(job())).id;
    expect(await api.over(undisturbed)).toMatchObject({ status: 'succeeded', error: null });
  });

  it('that is cancelled › stops its process and keeps its last checkpoint', async () => {
    const { id } = await api.create(endless());
    await api.checkpoint(id);
    const pid = await trainingPid(worker, id);
    expect(await api.cancel(id)).toMatchObject({ status: 'cancelled' });
    await until('the end of the process', () => !isAlive(pid));
    await until('the worker to let go', () => worker.log.some((line) => line['jobId'] === id && line.msg.includes('cancelled')));
    expect(await api.job(id)).toMatchObject({ status: 'cancelled', error: null, fine_tuned_model: null });
    const kept = await api.checkpoints(id);
    expect(kept.length).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await api.checkpoints(id)).toEqual(kept);
  });

  it('that is paused › leaves its slot to another job, and gives the same adapter once it is resumed', async () => {
    const { id } = await api.create(job());
    await api.checkpoint(id);
    expect(await api.pause(id)).toMatchObject({ status: 'paused' });
    const next = await api.create(job({ n_epochs: 1 }));
    expect(await api.over(next.id)).toMatchObject({ status: 'succeeded' });
    expect(await api.job(id)).toMatchObject({ status: 'paused', error: null });
    expect(await api.resume(id)).toMatchObject({ status: 'queued' });
    await expectUndisturbed(id, undisturbed);
  });

  it('whose training process is killed › resumes from its checkpoint and gives the same adapter', async () => {
    const { id } = await api.create(job());
    await api.checkpoint(id);
    process.kill(await trainingPid(worker, id), 'SIGKILL');
    await expectUndisturbed(id, undisturbed);
    const messages = (await api.events(id)).map(({ message }) => message);
    expect(messages).toEqual(expect.arrayContaining([expect.stringMatching(/SIGKILL.*started again/)]));
  });

  it('whose worker is asked to stop › resumes on the next worker and gives the same adapter', async () => {
    const { id } = await api.create(job());
    await api.checkpoint(id);
    expect(await worker.stop('SIGTERM')).toBe(0);
    expect(await api.job(id)).toMatchObject({ status: 'queued' });
    worker = startWorker(home);
    await expectUndisturbed(id, undisturbed);
    const messages = (await api.events(id)).map(({ message }) => message);
    expect(messages).toEqual(expect.arrayContaining([expect.stringMatching(/The worker stops/), expect.stringMatching(/resumed after step \d+/)]));
  });

  it('whose worker is killed › leaves no process behind and resumes on the next worker at once', async () => {
    const { id } = await api.create(job());
    await api.checkpoint(id);
    const pid = await trainingPid(worker, id);
    await worker.stop('SIGKILL');
    const killedMs = Date.now();
    worker = startWorker(home);
    await until('the end of the process', () => !isAlive(pid));
    await trainingPid(worker, id);
    expect(Date.now() - killedMs).toBeLessThan(HEARTBEAT_TIMEOUT_MS / 2); // a few seconds, unless other tests take the machine
    await expectUndisturbed(id, undisturbed);
  });

  it('whose process dies again and again › fails and reports how it died', async () => {
    const { id } = await api.create(endless());
    for (let deaths = 0, pid = 0; deaths < 3; deaths++) {
      pid = await until('another training process', async () => {
        const newest = await trainingPid(worker, id);
        return newest !== pid && newest;
      });
      process.kill(pid, 'SIGKILL');
    }
    const { status, error } = await api.over(id);
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'training_process_died', message: expect.stringMatching(/SIGKILL.*3 times/) });
    const next = await api.create(job({ n_epochs: 1 }));
    expect(await api.over(next.id)).toMatchObject({ status: 'succeeded' });
  });
});
