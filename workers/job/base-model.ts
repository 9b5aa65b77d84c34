import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Logger } from 'pino';
import type { HubModel } from '../../src/hub/hub.ts';
import { announcedName, parseHubName } from '../../src/hub/hub-name.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { downloadModel } from '../base-models/download.ts';
import type { HeldDirectory } from '../base-models/held-directory.ts';
import type { ReadyDirectory } from '../base-models/ready-directory.ts';
import { snapshotDir } from '../base-models/snapshots.ts';
import { addEvent } from './progress.ts';

type Needs = Pick<Services, 'config' | 'hub' | 'jobRecord'>;

/** How the adapter names its base model: by its name on the hub (or in a Hugging Face cache) and commit, or by directory name. */
export function baseModelOf(job: Pick<Job, 'model' | 'modelRevision'>): { baseModelName: string; baseModelRevision?: string } {
  return { baseModelName: announcedName(job), ...(job.modelRevision !== null && { baseModelRevision: job.modelRevision }) };
}

/** The same for what the job trains on, which may be a tuned model. */
export function trainedOn(job: Pick<Job, 'model' | 'modelRevision' | 'startFrom'>): ReturnType<typeof baseModelOf> {
  return job.startFrom?.base == null ? baseModelOf(job) : { baseModelName: job.startFrom.base.name };
}

/** Whether the job's model from the hub is on this machine or may be downloaded. */
export function isAvailable(
  { model, modelRevision: commit }: Pick<Job, 'model' | 'modelRevision'>,
  { services: { config, hub } }: { services: Pick<Needs, 'config' | 'hub'> },
): boolean {
  const name = parseHubName(model)?.name;
  if (name === undefined || commit === null) return false;
  return hub.allows(name) || existsSync(snapshotDir(config.dataDir, { name, commit }));
}

/**
 * The directory of a job's model from the hub, which is downloaded if necessary.
 * @throws Refusal, JobLost, or the signal's reason
 */
export async function hubModelDir(
  job: Job,
  { services, signal, log }: { services: Needs; signal: AbortSignal; log: Logger },
): Promise<HeldDirectory> {
  const { config, hub } = services;
  const { baseModelName: name, baseModelRevision: commit } = baseModelOf(job);
  const say = (message: string) => addEvent(services, job, { level: 'info', message });
  let startedMs: number | null = null;
  const held = await downloadModel(
    { name, commit: commit! },
    {
      hub,
      dataDir: config.dataDir,
      signal,
      async onStart(model, haveBytes) {
        startedMs = Date.now();
        log.info({ model: name, commit, sizeBytes: model.sizeBytes, haveBytes }, 'downloading the base model');
        const kept = haveBytes === 0 ? '' : `, of which ${megabytes(haveBytes)} is already here`;
        await say(`Downloading ${atCommit(model)}: ${megabytes(model.sizeBytes)}${kept}`);
      },
      async onProgress(doneBytes, model) {
        await say(`Downloaded ${megabytes(doneBytes)} of ${megabytes(model.sizeBytes)}`);
      },
    },
  );
  if (startedMs !== null)
    await say(`Downloaded and verified ${atCommit({ name, commit: commit! })} in ${Math.round((Date.now() - startedMs) / 1000)} s`);
  return held;
}

/**
 * The directory of a job's model that was found on disk, which is made if it is a GGUF file.
 * @throws Refusal, TrainingProcessDied, JobLost, or the signal's reason
 */
export async function localModelDir(
  job: Job,
  found: string,
  { services, readyDir, signal }: { services: Needs; readyDir: ReadyDirectory; signal: AbortSignal },
): Promise<HeldDirectory> {
  const onStart = () => addEvent(services, job, { level: 'info', message: `Reading ${basename(found)}, once for all jobs on this worker` });
  return readyDir(found, { signal, onStart });
}

const atCommit = ({ name, commit }: Pick<HubModel, 'name' | 'commit'>): string => `${name}@${commit.slice(0, 7)}`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
