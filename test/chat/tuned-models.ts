import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_PROJECT, fineTunedModelName } from '../../src/ids.ts';
import type { NewJob } from '../../src/jobs/job.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { Services } from '../../src/services.ts';
import { newJob } from '../jobs/new-job.ts';

/** A job with a checkpoint that has the files of a directory. Its worker is still at it. */
export async function jobWithCheckpoint({ jobs, jobRecord, objectStore }: Services, dir: string, fields: Partial<NewJob>) {
  const { job: created } = await jobs.create(DEFAULT_PROJECT, newJob({ organization: 'graft', ...fields }));
  const job = (await jobs.claim(created.id, 'worker-test'))!;
  await jobs.move(job.id, 'read', job);
  await jobs.move(job.id, 'start', job);
  const folder = keys.newCheckpoint(job.id, job.attempt, 5);
  const files = (await filesOf(dir)).map(({ name, content, ...file }) => ({ ...file, name: keys.checkpointAdapter('') + name, content }));
  for (const { name, content } of files) await objectStore.put(folder + name, content);
  const checkpoint = (await jobRecord.addCheckpoint(job, {
    step: 5,
    folder,
    metrics: { step: 5 },
    files: files.map(({ content, ...file }) => file),
  }))!;
  return { job, checkpoint: checkpoint.name };
}

/** A job that has delivered the files of a directory. @returns its model's name */
export async function tunedModel(services: Services, dir: string, fields: Partial<NewJob>): Promise<string> {
  const { job } = await jobWithCheckpoint(services, dir, fields);
  const adapterFolder = keys.newDelivery(job.id, job.attempt);
  for (const { name, content } of await filesOf(dir)) await services.objectStore.put(adapterFolder + name, content);
  const model = fineTunedModelName(job);
  await services.jobs.succeed(job, { fineTunedModel: model, adapterFolder, trainedTokens: 8, files: [], events: [] });
  return model;
}

async function filesOf(dir: string) {
  const names = await readdir(dir);
  return Promise.all(
    names.map(async (name) => {
      const content = await readFile(join(dir, name));
      return { name, content, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
    }),
  );
}
