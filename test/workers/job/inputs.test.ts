import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../../src/jobs/job.ts';
import { makeJobFolder } from '../../../workers/job/folder.ts';
import { fetchDatasets } from '../../../workers/job/inputs.ts';
import { outageOf, StillRead } from '../../../workers/job/outage.ts';
import { storeUnjudged } from '../../files/unjudged-file.ts';
import { type RunningService, runService } from '../../running-service.ts';

let service: RunningService;
let workDir: string;
beforeAll(async () => {
  service = await runService();
  workDir = await mkdtemp(join(tmpdir(), 'graft-inputs-'));
});
afterAll(async () => {
  await service?.close();
  await rm(workDir, { recursive: true, force: true });
});

/** A job on a dataset that nobody has read yet. */
async function jobOn(content: string): Promise<Job> {
  const training_file = await storeUnjudged(content, service.services);
  const job = await service.client.fineTuning.jobs.create({ model: 'graft-tiny', training_file });
  return (await service.services.jobs.findAny(job.id))!;
}

describe('a job whose dataset has not been read yet', () => {
  it('waits for it', async () => {
    const content = '{"prompt":"a","completion":"b"}\n';
    const job = await jobOn(content);
    const folder = await makeJobFolder(workDir, job);
    const fetching = fetchDatasets(job, folder, service.services);
    await new Promise((resolve) => setTimeout(resolve, 300));
    service.services.validator.wake();
    expect(await fetching).toEqual({ training_file: content.length });
    expect(await readFile(folder.trainingFile, 'utf8')).toBe(content);
  });

  it('fails once problems are found in it, with all of them', async () => {
    const job = await jobOn('{"prompt":1}\n{"prompt":2}\n');
    const fetching = fetchDatasets(job, await makeJobFolder(workDir, job), service.services);
    service.services.validator.wake();
    await expect(fetching).rejects.toMatchObject({
      code: 'invalid_training_file',
      message: expect.stringMatching(/^2 problems: line 1 .*; line 2 /),
    });
  });

  it('gives its place to others if that takes long, and says what it waits for', () => {
    expect(outageOf(new StillRead('file-1'))).toEqual({ need: 'dataset', detail: 'file-1' });
  });
});
