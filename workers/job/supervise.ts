/** One job from its claim to its end: fetch, train in a separate process, record, deliver; and cancellation, shutdown and crashes. */
import type { ProofFindings } from '../../src/formats/adapter-proof.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Job } from '../../src/jobs/job.ts';
import { unswept } from '../base-models/held-directory.ts';
import type { Seat } from '../placement/shared-place.ts';
import { TrainingProcessDied } from '../process/died.ts';
import type { ForkedTraining } from '../process/forked.ts';
import { analyseDelivered } from './analysis.ts';
import { recordAnswers } from './answers.ts';
import { hubModelDir, localModelDir } from './base-model.ts';
import { fetchNewestCheckpoint, isUnusable, type LoadedCheckpoint, setAsideLoaded } from './checkpoint.ts';
import { countCrashes } from './crashes.ts';
import { deliver } from './delivery.ts';
import { endDryRun } from './dry-run.ts';
import { failure, giveBack, JobLost, letGo, pauseToCompare, StoppedByWorker } from './endings.ts';
import { type JobFolder, makeJobFolder } from './folder.ts';
import { fetchDatasets, trainOptions } from './inputs.ts';
import { openJournal } from './journal.ts';
import { type JobLineage, openLineage } from './lineage.ts';
import { requireBack } from './outage.ts';
import { type DatasetSizes, preparationProgress } from './preparation.ts';
import { addEvent, paceMessage, recordPrepared, saveReport, storeProgress } from './progress.ts';
import { certifyResumes, type ResumeCertificates } from './resumes.ts';
import { endAttempt, PATIENCE_MS, patiently, persistently } from './setbacks.ts';
import { fetchAdapterToContinue, fetchTunedBase } from './start-from.ts';
import type { Supervision } from './supervision.ts';
import { timeOfSteps } from './time-of-steps.ts';
import { removeTokensOfEndedJobs } from './tokens.ts';
import { partOfJob, traceTraining } from './traces.ts';
import { type JobWatch, watchJob } from './watch.ts';

const TRAINS_ALONE = 'It trains alone from now on';

/** How long a stopping worker waits for the current step and its checkpoint. */
const STOP_GRACE_MS = 30_000;
/** The same for a paused job. Nobody is waiting for the worker to end, and a step of a large model may take minutes. */
const PAUSE_GRACE_MS = 600_000;

export type Placed = Supervision & { place: Seat };

/** Carries out one attempt of a job that the worker has taken. Returns when the job has ended, was given back or was lost. */
export async function carryOut(job: Job, localDir: string | null, placed: Placed): Promise<void> {
  const { services, log } = placed;
  const whenReached = { stopping: placed.stopping, log };
  const rows = await persistently(() => services.jobRecord.metrics(job.id), whenReached);
  const journal = openJournal(services.jobRecord, job);
  const newest = await persistently(() => services.jobRecord.newestCheckpoint(job.id), whenReached);
  const watch = watchJob(services.jobs, job, { log, tick: () => journal.flush(), stepsMs: timeOfSteps(rows, job, newest?.step ?? 0) });
  // A paused job is let go of just as all jobs are when the worker stops.
  const stopping = AbortSignal.any([placed.stopping, watch.paused]);
  try {
    const work = () => attempt(job, localDir, { ...placed, stopping, journal, watch });
    await services.tracing.within('job attempt', { ...partOfJob(job, placed), kind: 'consumer' }, work);
  } catch (error) {
    const end = async () => {
      if (!(error instanceof JobLost || watch.lost.aborted)) return endAttempt(error, { services, job, stopping, log });
      log.info('the job was cancelled, paused or taken over: stopped working on it');
      await letGo({ services, job });
    };
    await persistently(end, whenReached);
  } finally {
    await watch.stop();
    await removeTokensOfEndedJobs(services).catch((error) => log.warn({ err: error }, 'tokens of ended jobs could not be removed'));
  }
}

/** @throws whatever ends it before the job has succeeded or has been given back */
async function attempt(job: Job, localDir: string | null, placed: Placed & Pick<Run, 'journal' | 'watch'>): Promise<void> {
  const { services, workDir, watch, stopping, log } = placed;
  const folder = await makeJobFolder(workDir, job);
  try {
    await requireBack(job, services);
    const datasetSizes = await fetchDatasets(job, folder, services); // first, so that a mistake in a file is reported before a model is downloaded
    const signal = AbortSignal.any([watch.lost, stopping]);
    const baseDir = () => (localDir === null ? hubModelDir(job, { services, signal, log }) : localModelDir(job, localDir, { ...placed, signal }));
    const tunedBase = await fetchTunedBase(job, folder, services);
    const { dir: modelPath, leave } = tunedBase === null ? await baseDir() : unswept(tunedBase);
    try {
      await services.setbacks.endWait(job);
      const lineage = openLineage(job, placed.baseModelFiles(modelPath));
      await trainUntilOver({ ...placed, job, modelPath, folder, lineage, resumes: certifyResumes(services, job), datasetSizes });
    } finally {
      await leave();
    }
  } finally {
    await folder.remove();
  }
}

interface Run extends Placed {
  job: Job;
  modelPath: string;
  journal: ReturnType<typeof openJournal>;
  watch: JobWatch;
  folder: JobFolder;
  lineage: JobLineage;
  resumes: ResumeCertificates;
  datasetSizes: DatasetSizes;
}

/** When a training process dies, another one resumes from the newest checkpoint; from the one before if it cannot be loaded. */
async function trainUntilOver(run: Run): Promise<void> {
  const { services, job, folder, log } = run;
  const crashed = countCrashes(services, job, log);
  for (;;) {
    const loaded = await fetchNewestCheckpoint({ services, job, folder });
    if (loaded === null) await fetchAdapterToContinue(job, run, services);
    // An earlier attempt was lost before it could say so, or the job's user has resumed it.
    else if (job.pauseAtStep !== null && loaded.checkpoint.step >= job.pauseAtStep) return pauseToCompare(run, loaded.checkpoint.step);
    const training = run.place.takeProcess(log);
    if (training === null) return giveBack(run, TRAINS_ALONE);
    try {
      return await train(run, training, loaded);
    } catch (error) {
      if (run.watch.lost.aborted) throw error;
      if (loaded !== null && isUnusable(error)) await setAsideLoaded(loaded, error, { services, job, folder });
      else if (!(error instanceof TrainingProcessDied)) throw error;
      else if (run.stopping.aborted)
        return await giveBack(run); // it did not stop in time
      else await crashed({ died: error, output: training.output(), startStep: loaded?.checkpoint.step ?? 0 });
    } finally {
      await training.kill();
    }
  }
}

/** @throws JobLost, Refusal, TrainingProcessDied */
async function train(run: Run, training: ForkedTraining, loaded: LoadedCheckpoint | null): Promise<void> {
  const { services, job, journal, watch, stopping, log } = run;
  const signal = AbortSignal.any([watch.lost, stopping]);
  const stop = () => {
    training.stop();
    setTimeout(() => void training.kill(), watch.paused.aborted ? PAUSE_GRACE_MS : STOP_GRACE_MS).unref();
  };
  const kill = () => void training.kill();
  watch.lost.addEventListener('abort', kill);
  stopping.addEventListener('abort', stop);
  try {
    watch.lost.throwIfAborted();
    const options = trainOptions({ ...run, resumeFrom: loaded?.dir ?? null }, services);
    if (stopping.aborted) return await giveBack(run);
    traceTraining(training, services);
    log.info({ trainingPid: training.pid, resumeFrom: options.resumeFrom }, 'training process takes the job');
    const preparation = preparationProgress(run.datasetSizes, Date.now());
    for await (const answer of job.dryRun ? training.dryRun(options) : training.train(options)) {
      switch (answer.answer) {
        case 'preparing': {
          const { event, readyMs } = preparation(answer.progress, Date.now());
          watch.preparing(readyMs);
          if (event !== null) await addEvent(services, job, event);
          break;
        }
        case 'receipt':
          run.lineage.receipt(answer.receipt);
          await saveReport(services, job, 'receipt', answer.receipt);
          break;
        case 'prepared':
          log.info({ seconds: answer.facts.seconds }, 'job prepared');
          watch.preparing(null);
          await journal.flush(); // what an earlier process did
          run.lineage.prepared(answer.facts);
          await recordPrepared(services, job, answer.facts);
          watch.started();
          await run.resumes.prepared(answer.facts, loaded);
          break;
        case 'step':
          await run.resumes.step(answer.report); // before the journal records this step
          journal.step(answer.report);
          watch.progress(answer.report);
          break;
        case 'paced':
          run.beside?.paced(job, answer.pace);
          await addEvent(services, job, { level: 'info', message: paceMessage(answer.pace), data: { ...answer.pace } });
          break;
        case 'answered':
          await recordAnswers(services, job, answer.report);
          break;
        case 'checkpoint':
          await run.lineage.writeToCheckpoint(answer.checkpoint);
          await patiently(() => storeProgress(run, answer.checkpoint), { services, job, signal, patienceMs: run.patienceMs ?? PATIENCE_MS, log });
          break;
        case 'measured':
          run.place.trained();
          await endDryRun(run, answer.dryRun);
          break;
        case 'done':
          run.place.trained();
          await journal.flush();
          await saveReport(services, job, 'lineage', await run.lineage.write(answer.result.outputDir, answer.result.delivered));
          await services.tracing.within('deliver', {}, () =>
            deliver({
              services,
              job,
              result: answer.result,
              deliveredDir: run.folder.deliveredDir,
              load: (dir) => verify(run, training, dir),
              analyse: (dir) => analyseDelivered(run, training, dir),
            }),
          );
          log.info({ steps: answer.result.steps, seconds: answer.result.seconds }, 'job succeeded');
          break;
        case 'paused':
          await journal.flush();
          await pauseToCompare(run, answer.step);
          break;
        case 'stopped':
          throw new StoppedByWorker();
        case 'late':
          return await giveBack(run, 'The jobs beside it have begun without it');
        case 'failed':
          throw failure(answer.error, training, log);
      }
    }
  } catch (error) {
    if (error instanceof Refusal || error instanceof StoppedByWorker) await journal.flush();
    if (!(error instanceof StoppedByWorker)) throw error;
    await giveBack(run);
  } finally {
    watch.lost.removeEventListener('abort', kill);
    stopping.removeEventListener('abort', stop);
  }
}

/** @throws JobLost, StoppedByWorker, Refusal, TrainingProcessDied */
async function verify({ watch, log }: Run, training: ForkedTraining, dir: string): Promise<ProofFindings> {
  const answer = await training.verify(dir).catch((error) => {
    throw watch.lost.aborted ? new JobLost() : error; // the process was killed because the job is lost
  });
  if (answer.answer === 'verified') return answer.findings;
  if (answer.answer === 'failed') throw failure(answer.error, training, log);
  throw new StoppedByWorker();
}
