import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { HubModel } from '../../src/hub/hub.ts';
import { parseHubName } from '../../src/hub/hub-name.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { downloadModel } from '../base-models/download.ts';
import { snapshotDir } from '../base-models/snapshots.ts';

type Needs = Pick<Services, 'config' | 'hub' | 'jobRecord'>;

/** What the adapter says of its base: the hub's name and commit, or the directory's name. */
export function baseModelOf({ model, modelRevision }: Pick<Job, 'model' | 'modelRevision'>): { baseModelName: string; baseModelRevision?: string } {
  if (modelRevision === null) return { baseModelName: model };
  return { baseModelName: parseHubName(model)!.name, baseModelRevision: modelRevision };
}

/** Whether this worker has the job's model from the hub, or may download it. */
export function canHave({ model, modelRevision: commit }: Job, { services: { config, hub } }: { services: Needs }): boolean {
  const name = parseHubName(model)?.name;
  if (name === undefined || commit === null) return false;
  return hub.allows(name) || existsSync(snapshotDir(config.dataDir, { name, commit }));
}

/**
 * The directory of a job's model from the hub, downloaded if it is not here.
 * @throws Refusal; the signal's reason
 */
export async function hubModelDir(job: Job, { services, signal, log }: { services: Needs; signal: AbortSignal; log: Logger }): Promise<string> {
  const { config, hub, jobRecord } = services;
  const { baseModelName: name, baseModelRevision: commit } = baseModelOf(job);
  const tell = (message: string) => jobRecord.appendEvent(job.id, { level: 'info', message });
  let startedMs: number | null = null;
  const dir = await downloadModel(
    { name, commit: commit! },
    {
      hub,
      dataDir: config.dataDir,
      signal,
      async onStart(model, haveBytes) {
        startedMs = Date.now();
        log.info({ model: name, commit, sizeBytes: model.sizeBytes, haveBytes }, 'downloading the base model');
        const rest = haveBytes === 0 ? '' : `, ${megabytes(haveBytes)} of it here already`;
        await tell(`Downloading ${atCommit(model)}: ${megabytes(model.sizeBytes)}${rest}`);
      },
      async onProgress(doneBytes, model) {
        await tell(`Downloaded ${megabytes(doneBytes)} of ${megabytes(model.sizeBytes)}`);
      },
    },
  );
  if (startedMs !== null)
    await tell(`${atCommit({ name, commit: commit! })} is here and checked, after ${Math.round((Date.now() - startedMs) / 1000)} s`);
  return dir;
}

const atCommit = ({ name, commit }: Pick<HubModel, 'name' | 'commit'>): string => `${name}@${commit.slice(0, 7)}`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
