import { Refusal } from '../formats/refusal.ts';
import type { Job } from '../jobs/job.ts';
import { isFinal } from '../jobs/state.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'files' | 'jobRecord' | 'objectStore'>;

interface AdapterObject {
  /** Path within the directory, with `/` as separator. */
  name: string;
  key: string;
  sizeBytes: number;
  /** What was recorded when it was written; null where nothing was. */
  sha256: string | null;
}

/**
 * Lists what a job delivers: the adapter directory, or the model directory for full fine-tuning.
 * @param step  lists the files of this checkpoint instead
 * @throws Refusal adapter_not_found
 */
export async function adapterObjects(job: Job, services: Needs, step?: number): Promise<AdapterObject[]> {
  const checkpoint = step === undefined ? null : await services.jobRecord.checkpointAt(job.owner, job.id, step);
  const folder = step === undefined ? job.adapterFolder : checkpoint && keys.checkpointAdapter(checkpoint.folder);
  const listed = folder === null ? [] : await services.objectStore.list(folder);
  const recorded = new Map(checkpoint?.files?.map(({ name, sha256 }) => [checkpoint.folder + name, sha256]));
  const objects = listed.map(({ key, sizeBytes }) => ({ name: key.slice(folder!.length), key, sizeBytes, sha256: recorded.get(key) ?? null }));
  if (objects.length > 0) return objects;
  if (step !== undefined) {
    throw new Refusal('adapter_not_found', `The job "${job.id}" has no checkpoint at step ${step}`, {
      hint: `GET /v1/fine_tuning/jobs/${job.id}/checkpoints lists them.`,
    });
  }
  throw new Refusal('adapter_not_found', `The job "${job.id}" is ${job.status} and has no adapter`, { hint: whyNone(job) });
}

function whyNone({ id, status, dryRun }: Job): string {
  if (dryRun) return `It is a dry run, which delivers nothing: GET /v1/fine_tuning/jobs/${id}/dry_run has what it measured.`;
  if (status === 'succeeded') return 'Its model has been deleted.';
  if (isFinal(status)) return `GET /v1/fine_tuning/jobs/${id}/checkpoints lists what it left.`;
  return 'The adapter is available once the job has succeeded.';
}

/** @throws Refusal adapter_not_found */
export async function adapterFile(job: Job, filename: string, services: Needs): Promise<AdapterObject> {
  const objects = await adapterObjects(job, services);
  const object = objects.find(({ name }) => name === filename);
  if (object === undefined) {
    throw new Refusal('adapter_not_found', `The adapter of "${job.id}" has no file "${filename}"`, {
      param: 'filename',
      hint: `Its files are ${objects.map(({ name }) => name).join(', ')}.`,
    });
  }
  return { ...object, sha256: await services.files.sha256Of(job.owner, object.key) };
}
