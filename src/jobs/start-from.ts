import { Refusal } from '../formats/refusal.ts';
import { continuation } from '../formats/tuning/continuation.ts';
import { mergesFirst, mergingFirst, nothingToMerge } from '../formats/tuning/merge-first.ts';
import { continuedTuning, deliveredBy, type ResolvedTuning, resolveTuning, type Tuning } from '../formats/tuning/tuning.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { findCheckpoint } from './find-checkpoint.ts';
import type { Job, StartFrom, StoredModel } from './job.ts';

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'reports'>;

/** What a job on a tuned model takes from the job that made it. */
export interface Continued extends Pick<Job, 'model' | 'modelRevision' | 'chatTemplate' | 'chatTemplateKwargs'> {
  startFrom: StartFrom & { jobId: string };
  tuning: ResolvedTuning;
}

/**
 * Finds the tuned model or checkpoint that a job is to start from. An adapter is continued as it is, so its tuning has to be the job's too; a fully tuned
 * model is a base like any other.
 * @param tuning  as requested; undefined: that of the model
 * @throws Refusal
 */
export async function continuedFrom(
  owner: string,
  { name, tuning }: { name: string; tuning: Tuning | undefined },
  services: Needs,
): Promise<Continued> {
  const { source, stored } = await findTuned(owner, name, services);
  const { model, modelRevision, chatTemplate, chatTemplateKwargs, startFrom } = source;
  const its = continuedTuning(resolveTuning(source.tuning));
  const wanted = tuning === undefined ? its : resolveTuning(tuning);
  const isModel = deliveredBy(its.type) === 'model';
  if (isModel && mergesFirst(wanted)) throw nothingToMerge();
  const joined = mergesFirst(wanted) ? mergingFirst(wanted, its) : wanted;
  const of = { model, modelRevision, chatTemplate, chatTemplateKwargs, tuning: joined };
  if (isModel) return { ...of, startFrom: { name, jobId: source.id, base: stored, adapter: null } };
  if (joined === wanted && continuation(its, wanted) === null)
    throw otherTuning(name, its, ` To train another kind of adapter, name its base model "${source.startFrom?.base?.name ?? model}".`);
  return { ...of, startFrom: { name, jobId: source.id, base: startFrom?.base ?? null, adapter: stored } };
}

/** @param more of the hint */
export const otherTuning = (name: string, its: ResolvedTuning, more = ''): Refusal =>
  new Refusal('tuning_mismatch', `"${name}" is an adapter, which can only be continued with the tuning that it has, or a larger rank`, {
    param: 'tuning',
    hint: `Leave tuning out, or ask for ${JSON.stringify(its)}; lora_dropout may differ, and r be larger; with merge_first, a new LoRA is trained on it.${more}`,
  });

async function findTuned(owner: string, name: string, services: Needs): Promise<{ source: Job; stored: StoredModel }> {
  const { jobs, reports } = services;
  const job = await jobs.findByModel(owner, name);
  if (job?.adapterFolder) {
    const proof = await reports.find(owner, job.id, 'proof');
    return { source: job, stored: { name, folder: job.adapterFolder, files: proof?.files ?? [] } };
  }
  const found = await findCheckpoint(owner, name, services);
  if (found === null)
    throw new Refusal('model_not_found', `There is no tuned model or checkpoint "${name}"`, {
      param: 'model',
      hint: 'GET /v1/models lists the models.',
    });
  const { job: source, checkpoint } = found;
  const part = keys.checkpointAdapter('');
  const of = (checkpoint.files ?? []).filter((file) => file.name.startsWith(part));
  const folder = keys.checkpointAdapter(checkpoint.folder);
  return { source, stored: { name, folder, files: of.map((file) => ({ ...file, name: file.name.slice(part.length) })) } };
}
