import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { trainingEnvironment } from '../../../src/config.ts';
import { keys } from '../../../src/object-store/keys.ts';
import type { ObjectStore } from '../../../src/object-store/object-store.ts';
import { openReadyDirectories } from '../../../workers/base-models/ready-directory.ts';
import { openFileHashes, openHashes } from '../../../workers/engine/io/base-model-files.ts';
import type { Supervision } from '../../../workers/job/supervision.ts';
import { superviseJob } from '../../../workers/job/take-job.ts';
import type { Place } from '../../../workers/placement/places.ts';
import { type ForkedTraining, type ForkOptions, forkTraining } from '../../../workers/process/forked.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { runService } from '../../running-service.ts';

const tiny = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
export const WEIGHTS = 'adapter_model.safetensors';

/** What goes differently than in an undisturbed run. */
type Disturbances = Partial<
  Pick<Supervision, 'stopping' | 'patienceMs' | 'modelDir' | 'beside' | 'workerId'> &
    Pick<Place, 'takeProcess' | 'trained'> & { services: Partial<Supervision['services']> }
>;

/**
 * The whole service with a small dataset, and jobs of it that are supervised one at a time, each by a worker with real training processes.
 * @param settings further variables of the environment
 */
export async function superviseJobs(settings: Record<string, string> = {}) {
  const service = await runService(settings);
  const workDir = await mkdtemp(join(tmpdir(), 'graft-supervisor-'));
  const trainingFile = await service.upload(sameAnswer(8));
  const processes: ForkedTraining[] = [];
  const errors: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => errors.push(line) });

  function fork(options: Partial<ForkOptions> = {}): ForkedTraining {
    const training = forkTraining({ env: trainingEnvironment(), ...options });
    processes.push(training);
    return training;
  }

  /** Resolves once the service has read the job's files: a machine that others use too may take longer for it than a worker waits. */
  async function untilRead(jobId: string): Promise<void> {
    const { jobs, files } = service.services;
    const { owner, trainingFileId, validationFileId, evaluationFileId, retentionFileId } = (await jobs.findAny(jobId))!;
    for (const id of [trainingFileId, validationFileId, evaluationFileId, retentionFileId])
      while (id !== null && (await files.findEvenDeleted(owner, id))?.status === 'uploaded') await delay(50);
  }

  /** Supervises one job with the service's own stores and a real training process, except for what is disturbed. */
  async function supervise(jobId: string, { services = {}, takeProcess = () => fork(), trained = () => {}, ...rest }: Disturbances = {}) {
    await untilRead(jobId);
    return superviseJob(jobId, {
      services: { ...service.services, ...services },
      workerId: 'worker-a',
      workDir,
      modelDir: () => tiny,
      readyDir: openReadyDirectories({ dataDir: service.services.config.dataDir, sha256Of: openHashes(), environment: trainingEnvironment(), log }),
      baseModelFiles: openFileHashes(),
      takePlace: async () => ({ devices: [null], takeProcess, trained, leave: () => {} }),
      stopping: new AbortController().signal,
      log,
      ...rest,
    });
  }

  /** The same, and again as long as the job then waits for the database, which may not answer in time on a machine that others use too. */
  async function superviseToEnd(jobId: string, disturbances: Disturbances = {}): Promise<void> {
    const { database } = service.services;
    do {
      await database.job.update({ where: { id: jobId }, data: { resumeAt: null } });
      await supervise(jobId, disturbances);
    } while ((await database.job.findUniqueOrThrow({ where: { id: jobId } })).waitingFor === 'database');
  }

  async function makeJob(fields: object = {}): Promise<string> {
    const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate: 0.01 };
    const body = {
      model: 'graft-tiny',
      training_file: trainingFile,
      seed: 5,
      tuning: { type: 'lora', r: 4 },
      ...('method' in fields ? {} : { hyperparameters }),
      ...fields,
    };
    const made = await service.post('/v1/fine_tuning/jobs', body);
    if (made.statusCode !== 200) throw new Error(`no job was made: ${made.body}`);
    return made.json<{ id: string }>().id;
  }

  const get = (jobId: string, path = '') => service.inject({ url: `/v1/fine_tuning/jobs/${jobId}${path}` });
  const weights = async (jobId: string) => (await get(jobId, `/adapter/${WEIGHTS}`)).rawPayload;

  return {
    service,
    /** What the workers logged as errors. */
    errors,
    makeJob,
    supervise,
    superviseToEnd,
    get,
    weights,
    /** The files that any attempt of it uploaded to be delivered. */
    stored: async (jobId: string) => (await service.services.objectStore.list(keys.job(jobId))).filter(({ key }) => key.includes('/delivery-')),

    /** Where a checkpoint's files are in the object store. */
    checkpointFolder: async (jobId: string, step: number) =>
      (await service.services.database.checkpoint.findUniqueOrThrow({ where: { jobId_step: { jobId, step } } })).folder!,

    /** Ends the pause after a setback. */
    mayResumeNow: (jobId: string) => service.services.database.job.update({ where: { id: jobId }, data: { resumeAt: null } }),

    /** What reconcile does with a job whose heartbeat has stopped. */
    workerWasLost: (jobId: string) => service.services.jobs.move(jobId, 'requeue'),

    /** The weights of a job that nothing disturbs. */
    async undisturbed(): Promise<Buffer> {
      const id = await makeJob();
      await supervise(id);
      if ((await get(id)).json().status !== 'succeeded') throw new Error(`the undisturbed job failed: ${(await get(id)).body}`);
      return weights(id);
    },

    /** Takes real training processes and changes some of what they do. */
    takeProcessWith(change: (training: ForkedTraining) => Partial<ForkedTraining>, options: Partial<ForkOptions> = {}) {
      return () => {
        const training = fork(options);
        return { ...training, ...change(training) };
      };
    },

    /** The object store, except that `change` is applied to the adapter's weights when they are read. */
    storeWithWeights(change: (content: Buffer) => Buffer): ObjectStore {
      const { objectStore } = service.services;
      return {
        ...objectStore,
        get: async (key) =>
          key.includes('/delivery-') && key.endsWith(`/${WEIGHTS}`)
            ? Readable.from([change(await buffer(await objectStore.get(key)))])
            : objectStore.get(key),
      };
    },

    async close() {
      await Promise.all(processes.map((one) => one.kill()));
      await service.close();
      await rm(workDir, { recursive: true, force: true });
    },
  };
}
