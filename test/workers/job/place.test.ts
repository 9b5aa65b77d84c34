import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { unswept } from '../../../workers/base-models/held-directory.ts';
import type { Supervision } from '../../../workers/job/supervision.ts';
import { superviseJob } from '../../../workers/job/take-job.ts';
import { type RunningService, runService } from '../../running-service.ts';

let service: RunningService;
let workDir: string;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  workDir = await mkdtemp(join(tmpdir(), 'graft-place-'));
  training_file = await service.upload();
});
afterAll(async () => {
  await service?.close();
  await rm(workDir, { recursive: true, force: true });
});

const makeJob = async (): Promise<string> => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;

const supervise = (jobId: string, takePlace: Supervision['takePlace']) =>
  superviseJob(jobId, {
    services: service.services,
    workerId: 'worker-a',
    workDir,
    modelDir: () => 'a directory',
    readyDir: async (dir: string) => unswept(dir),
    baseModelFiles: async () => [],
    takePlace,
    stopping: new AbortController().signal,
    log: service.services.log,
  });

/** A place where no process can be started. */
const brokenPlace = () => ({
  devices: [null],
  takeProcess(): never {
    throw new Error('no process can be started');
  },
  trained: () => {},
  leave: vi.fn(),
});

describe('a supervised job', () => {
  it('that gets no place on this machine › stays unclaimed for another worker', async () => {
    const id = await makeJob();
    await supervise(id, async () => null);
    expect(await service.services.jobs.findAny(id)).toMatchObject({ status: 'validating_files', workerId: null, attempt: 0 });
  });

  it('that is cancelled while it waits for a place › gives the place up unused', async () => {
    const id = await makeJob();
    const place = brokenPlace();
    await supervise(id, async () => {
      await service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
      return place;
    });
    expect(place.leave).toHaveBeenCalledOnce();
  });

  it('that hits an unexpected error › gives its place up', async () => {
    const place = brokenPlace();
    await supervise(await makeJob(), async () => place);
    expect(place.leave).toHaveBeenCalledOnce();
  });
});
