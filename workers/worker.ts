import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Job } from '../src/jobs/job.ts';
import { newWorkerId } from '../src/jobs/lost.ts';
import { openReconciler, RECONCILE_EVERY_MS } from '../src/jobs/reconcile.ts';
import { ANNOUNCE_EVERY_MS } from '../src/models/store.ts';
import type { Services } from '../src/services.ts';
import { isGgufFile } from './base-models/gguf-files.ts';
import { cachedSnapshot } from './base-models/hub-cache.ts';
import { type BaseModelDirectory, findBaseModels } from './base-models/on-disk.ts';
import { openReadyDirectories } from './base-models/ready-directory.ts';
import { sweepDownloads } from './base-models/sweep-downloads.ts';
import { sweepGguf } from './base-models/sweep-gguf.ts';
import { deviceName, memoryForTraining } from './devices.ts';
import { type FileHash, openFileHashes, openHashes } from './engine/io/base-model-files.ts';
import { runExports } from './export/run-exports.ts';
import { answerRequests } from './inference/answer-requests.ts';
import { baseModelOf } from './job/base-model.ts';
import { openBeside } from './job/beside.ts';
import { removeAbandonedFolders, workerFolder } from './job/folder.ts';
import { superviseJob } from './job/take-job.ts';
import { removeTokensOfEndedJobs } from './job/tokens.ts';
import { takeTurns } from './job/turns.ts';
import { openPlaces, type PlacesOptions } from './placement/places.ts';
import { slotsOf } from './placement/slots.ts';

type WorkerOptions = Pick<PlacesOptions, 'devices' | 'trainingEnvironment' | 'fork'> & {
  /** Put before the command of inference and export processes: confinement.ts. */
  inferencePrefix?: readonly string[];
};

export interface RunningWorker {
  id: string;
  /** Running jobs write a checkpoint and go back to the queue. */
  stop(): Promise<void>;
}

/** Announces this machine's base models and takes jobs off the queue, as many as it has slots for. */
export async function startWorker(services: Services, { devices, inferencePrefix = [], ...training }: WorkerOptions): Promise<RunningWorker> {
  const { config, models, queue } = services;
  const id = newWorkerId(hostname(), randomBytes(4).toString('hex'));
  const log = services.log.child({ workerId: id });
  const identity = { id, hostname: hostname(), device: devices.map(deviceName).join(', '), memoryBytes: memoryForTraining(devices, config) };
  const stopping = new AbortController();
  const workDir = workerFolder(config.dataDir);
  const places = openPlaces({ devices, ...training, stopping: stopping.signal, log }); // first: its processes take seconds to load TensorFlow
  await removeAbandonedFolders(config.dataDir);
  await removeTokensOfEndedJobs(services);

  const baseModels = baseModelsOf(config, log);
  const announce = async () => models.announce(identity, await baseModels.scan());
  await announce();
  const announcing = setInterval(() => {
    announce().catch((error) => log.warn({ err: error }, 'the worker could not announce itself'));
  }, ANNOUNCE_EVERY_MS);

  const { freeLostJobs } = openReconciler(services);
  const lookForDead = () => freeLostJobs().catch((error) => log.warn({ err: error }, 'jobs of dead workers could not be freed'));
  await lookForDead();
  const looking = setInterval(lookForDead, RECONCILE_EVERY_MS);

  const sha256Of = openHashes();
  const sweep = () =>
    sweepBaseModels(services, { baseModels, sha256Of, log }).catch((error) => log.warn({ err: error }, 'base models on the disk could not be swept'));
  void sweep();
  const sweeping = setInterval(sweep, SWEEP_BASE_MODELS_EVERY_MS);

  const readyDir = openReadyDirectories({
    dataDir: config.dataDir,
    sha256Of,
    environment: training.trainingEnvironment,
    prefix: inferencePrefix,
    log,
  });
  const inference = answerRequests(services, {
    workerId: id,
    workDir,
    modelDir: baseModels.dirOf,
    readyDir,
    idleDevice: places.idleDevice,
    environment: training.trainingEnvironment,
    prefix: inferencePrefix,
    memoryBytes: config.chat.memoryBytes ?? half(identity.memoryBytes),
    log,
  });

  const exporting = runExports({
    services,
    workerId: id,
    workDir,
    modelDir: baseModels.dirOf,
    readyDir,
    environment: training.trainingEnvironment,
    prefix: inferencePrefix,
    log,
  });

  const baseModelFiles = openFileHashes(sha256Of);
  const beside = openBeside({ services, workerId: id, freeSlots: places.free, log });
  const supervise = (jobId: string) =>
    superviseJob(jobId, {
      services,
      workerId: id,
      workDir,
      modelDir: baseModels.dirOf,
      readyDir,
      baseModelFiles,
      beside,
      async takePlace(job) {
        const place = await places.take(slotsOf(job));
        if (place !== null) await inference?.makeRoom(place.devices);
        return place;
      },
      stopping: stopping.signal,
      log,
    });
  const superviseNext = takeTurns({ jobs: services.jobs, supervise, stopping: stopping.signal, log });
  const handle = async (wokenFor: string) => {
    const jobId = (await superviseNext()) ?? wokenFor;
    // The next worker need not wait for the reconciler. If the job has ended, nobody can claim it.
    if (stopping.signal.aborted) await queue.enqueue(jobId).catch(() => {});
  };
  const consumer = queue.consume(handle, {
    concurrency: places.maxJobs,
    onError: (error) => log.error({ err: error }, 'no job could be taken, or the queue failed; it will be tried again'),
  });
  log.info({ devices: identity.device, models: baseModels.ids() }, 'worker ready');

  return {
    id,
    async stop() {
      stopping.abort();
      clearInterval(announcing);
      clearInterval(looking);
      clearInterval(sweeping);
      await exporting.stop();
      await inference?.close();
      await consumer.close();
      await places.close();
      await models.removeWorker(id).catch((error) => log.warn({ err: error }, 'the worker could not sign off; the sweep removes its row'));
      await rm(workDir, { recursive: true, force: true });
      log.info('worker stopped');
    },
  };
}

/** What models that answer may have of the memory for training, unless the operator says. On a GPU there is no limit of ours: a job that needs it ends the process. */
const half = (bytes: number | null): number | null => bytes && bytes / 2;

const SWEEP_BASE_MODELS_EVERY_MS = 3_600_000;

interface Sweep {
  baseModels: ReturnType<typeof baseModelsOf>;
  sha256Of: FileHash;
  log: Logger;
}

async function sweepBaseModels({ config, demand }: Services, { baseModels, sha256Of, log }: Sweep): Promise<void> {
  const { dataDir, hub, ggufDiskBytes } = config;
  const jobs = await demand.unfinished();
  const snapshots = jobs.flatMap((job) => {
    const { baseModelName: name, baseModelRevision: commit } = baseModelOf(job);
    return commit === undefined ? [] : [{ name, commit }];
  });
  await sweepDownloads({ dataDir, limitBytes: hub.diskBytes, inUse: snapshots, log });
  const inUse = jobs.map(baseModels.dirOf).filter((dir) => dir !== null && isGgufFile(dir)) as string[];
  await sweepGguf({ dataDir, limitBytes: ggufDiskBytes, files: baseModels.ggufFiles(), inUse, sha256Of, log });
}

/** The base models on disk. Every announcement scans again, so a model that is added later can be used without a restart. */
function baseModelsOf(config: Services['config'], log: Logger) {
  let found: BaseModelDirectory[] = [];
  const warned = new Set<string>();
  return {
    async scan() {
      found = await findBaseModels(config);
      for (const { id, problem } of found) {
        if (problem === null || warned.has(problem)) continue;
        warned.add(problem);
        log.warn({ model: id, problem }, 'a base model has a problem');
      }
      const [folder = ''] = config.modelsDirs;
      if (!warned.has(folder) && !found.some(({ dir }) => dir.startsWith(folder))) {
        warned.add(folder);
        log.warn({ folder }, 'MODELS_DIR has no model: put Hugging Face model directories or GGUF files into it, as `name` or `org/name`');
      }
      return found.map(({ dir, problem, ...model }) => model);
    },
    dirOf(job: Pick<Job, 'model' | 'modelRevision'>): string | null {
      const { baseModelName: name, baseModelRevision: commit = null } = baseModelOf(job);
      if (commit !== null) return cachedSnapshot(config.modelsDirs, { name, commit });
      return found.find(({ id, revision }) => id === name && revision === null)?.dir ?? null;
    },
    ids: () => found.map(({ id }) => id),
    ggufFiles: () => found.map(({ dir }) => dir).filter(isGgufFile),
  };
}
