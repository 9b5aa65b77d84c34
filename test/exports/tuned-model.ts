/** A tuned graft-tiny with a real adapter of random values, stored as a worker stores one. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loraFormat } from '../../src/formats/tuning/lora.ts';
import { fineTunedModelName } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import { saveAdapter } from '../../workers/engine/io/adapter.ts';
import { readModelConfig } from '../../workers/engine/model/weights.ts';
import { uniform } from '../../workers/engine/tuning/random.ts';
import type { RunningService } from '../running-service.ts';

export const TINY = join(import.meta.dirname, '../../models/graft-tiny');
export const TUNING = loraFormat.resolve({ type: 'lora', r: 4, use_rslora: true });

export async function writeAdapter(dir: string): Promise<string[]> {
  const config = readModelConfig(TINY);
  const tensors = new Map(
    [...loraFormat.trainedShapes(config, TUNING)].map(([name, shape]) => {
      const data = uniform(
        shape.reduce((product, size) => product * size, 1),
        { bound: 0.05, seed: 1, name },
      );
      return [name, { shape, data }];
    }),
  );
  return saveAdapter({ config, read: () => tensors, constants: () => new Map() }, dir, { tuning: TUNING, baseModelName: 'graft-tiny' });
}

/** @returns the job's id, and the tuned model's name */
export async function storeTunedModel({ services, client, upload }: RunningService): Promise<{ jobId: string; model: string }> {
  const { jobs, objectStore } = services;
  const tuning = { type: 'lora', r: 4, use_rslora: true };
  const { id: jobId } = await client.fineTuning.jobs.create({ model: 'graft-tiny', training_file: await upload(), tuning } as never);
  const job = (await jobs.claim(jobId, 'worker-test'))!;
  await jobs.move(jobId, 'read', job);
  await jobs.move(jobId, 'start', job);
  const dir = await mkdtemp(join(tmpdir(), 'graft-adapter-'));
  const adapterFolder = keys.newDelivery(jobId, job.attempt);
  await writeAdapter(dir);
  for (const name of await readdir(dir)) await objectStore.put(adapterFolder + name, readFileSync(join(dir, name)));
  await rm(dir, { recursive: true });
  const model = fineTunedModelName(job);
  await jobs.succeed(job, { fineTunedModel: model, adapterFolder, trainedTokens: 8, files: [], events: [] });
  return { jobId, model };
}
