import { existsSync } from 'node:fs';
import { mkdir, utimes } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ggufDirectory } from '../../workers/base-models/gguf-files.ts';
import type { ForkedTraining, ForkOptions } from '../../workers/process/forked.ts';
import { type RunningWorker, startWorker } from '../../workers/worker.ts';
import { type RunningService, runService } from '../running-service.ts';

let service: RunningService;
let worker: RunningWorker;
let training_file: string;
let abandoned: string;

/** A job in training, as its process sees it. */
interface Training {
  devices: string;
  /** Ends the job with an error. */
  fail(): void;
}
const trainings: Training[] = [];

/** A fake process that takes any job and trains until `fail` is called. */
function fakeProcess({ env }: ForkOptions): ForkedTraining {
  let gone = false;
  async function* train() {
    await new Promise<void>((resolve) => {
      trainings.push({ devices: env['CUDA_VISIBLE_DEVICES']!, fail: resolve });
    });
    yield { id: '', answer: 'failed' as const, error: { code: 'out_of_memory', message: 'It is too large', param: null, hint: null } };
  }
  const kill = async () => {
    gone = true;
  };
  return { pid: 1, train, kill, stop() {}, isGone: () => gone, output: () => '' } as unknown as ForkedTraining;
}

beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
  abandoned = ggufDirectory(service.services.config.dataDir, 'a'.repeat(64));
  await mkdir(abandoned, { recursive: true });
  await utimes(abandoned, new Date(0), new Date(0));
  worker = await startWorker(service.services, { devices: ['0', '1'], trainingEnvironment: {}, fork: fakeProcess });
});
afterAll(async () => {
  for (const { fail } of trainings) fail();
  await worker?.stop();
  await service?.close();
});

const makeJob = async (): Promise<string> => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;
const errorOf = async (id: string) => (await service.services.jobs.findAny(id))!.error?.code;

describe('a worker', () => {
  it('removes the directory of a GGUF file that is no longer here', async () => {
    await vi.waitFor(() => expect(existsSync(abandoned)).toBe(false), 20_000);
  });
});

describe('a worker with two slots', () => {
  it('trains two jobs at once, each on its own device, and a third when one of them has failed', async () => {
    const first = [await makeJob(), await makeJob()];
    const third = await makeJob();
    await vi.waitFor(() => expect(trainings).toHaveLength(2), 20_000);
    expect(trainings.map(({ devices }) => devices).sort()).toEqual(['0', '1']);
    await delay(300);
    expect(trainings).toHaveLength(2);
    expect(await service.services.jobs.findAny(third)).toMatchObject({ attempt: 0, workerId: null });

    trainings[0]!.fail();
    await vi.waitFor(() => expect(trainings).toHaveLength(3), 20_000);
    expect(trainings[2]!.devices).toBe(trainings[0]!.devices);
    expect((await Promise.all(first.map(errorOf))).filter((code) => code === 'out_of_memory')).toHaveLength(1);

    for (const { fail } of trainings) fail();
    await vi.waitFor(async () => expect(await errorOf(third)).toBe('out_of_memory'), 20_000);
  });
});
