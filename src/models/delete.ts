import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Checkpoint } from '../jobs/job.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { modelNotFound } from './catalogue.ts';

type Needs = Pick<Services, 'models' | 'jobs' | 'retention' | 'files' | 'objectStore'>;

/**
 * Deletes a tuned model: its files, the result files that are them, and every checkpoint with the same weights. The job and its other checkpoints stay.
 * Its name goes last, so that a deletion that failed midway can be repeated.
 * @throws Refusal when it is a base model or unknown
 */
export async function deleteModel({ project: owner }: Principal, id: string, services: Needs): Promise<void> {
  const { jobs, models, retention, files, objectStore } = services;
  const job = await jobs.findByModel(owner, id);
  if (job === null) {
    if (await models.find(id))
      throw new Refusal('invalid_value', `"${id}" is a base model`, { param: 'model', hint: 'Only tuned models can be deleted.' });
    throw modelNotFound(id);
  }
  const produced = (await files.findMany(owner, job.resultFileIds)).filter((file) => isIn(job.adapterFolder, file.storageKey));
  const equal = equalCheckpoints(await retention.checkpoints(job.id));
  if (job.adapterFolder !== null) await objectStore.deletePrefix(job.adapterFolder);
  for (const { folder } of equal) await objectStore.deletePrefix(folder);
  await retention.forgetModel(job, { steps: equal.map(({ step }) => step), fileIds: produced.map((file) => file.id) });
}

const isIn = (folder: string | null, key: string): boolean => folder !== null && key.startsWith(folder);

/** The newest checkpoint of a job that has succeeded is its model; an earlier one is too if its weights have the same hashes. */
function equalCheckpoints(checkpoints: readonly Checkpoint[]): Checkpoint[] {
  const model = checkpoints.at(-1);
  const weights = model && weightsOf(model);
  return checkpoints.filter((one) => one === model || (weights !== '' && weightsOf(one) === weights));
}

/** Hashes of what a checkpoint would deliver; empty for one of an older version, which has none. */
const weightsOf = ({ files }: Checkpoint): string =>
  (files ?? [])
    .filter(({ name }) => keys.checkpointAdapter('') === name.slice(0, name.lastIndexOf('/') + 1) && name.endsWith('.safetensors'))
    .map(({ name, sha256 }) => `${name} ${sha256}\n`)
    .sort()
    .join('');
