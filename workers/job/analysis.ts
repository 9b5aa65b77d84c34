/** Has what training changed measured, for jobs that ask for it. */
import type { Logger } from 'pino';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { TrainingProcessDied } from '../process/died.ts';
import type { ForkedTraining } from '../process/forked.ts';
import { failure, JobLost, StoppedByWorker } from './endings.ts';
import type { JobFolder } from './folder.ts';
import { addEvent, saveReport } from './progress.ts';
import type { JobWatch } from './watch.ts';

interface Analysed {
  services: Pick<Services, 'jobRecord' | 'reports'>;
  job: Job;
  folder: JobFolder;
  watch: JobWatch;
  /** Aborted when the worker stops or the job is paused. */
  stopping: AbortSignal;
  log: Logger;
}

/**
 * What the job delivers is proven by then, so a failure is told as an event and changes nothing.
 * @param dir of the delivered files, as they were read back
 * @throws JobLost, StoppedByWorker; TrainingProcessDied of a process that did not stop in time
 */
export async function analyseDelivered(
  { services, job, folder, watch, stopping, log }: Analysed,
  training: ForkedTraining,
  dir: string,
): Promise<void> {
  if (!job.analysis) return;
  const retentionFile = job.retentionFileId === null ? null : folder.retentionFile;
  try {
    const answer = await training.analyse({ deliveredDir: dir, retentionFile });
    if (answer.answer === 'stopped') throw new StoppedByWorker();
    if (answer.answer === 'failed') await tell(failure(answer.error, training, log).text);
    if (answer.answer === 'analysed') await saveReport(services, job, 'analysis', answer.analysis);
  } catch (error) {
    if (watch.lost.aborted) throw new JobLost(); // the process was killed because the job is lost
    if (!(error instanceof TrainingProcessDied) || stopping.aborted) throw error;
    await tell(error.what);
  }

  async function tell(why: string): Promise<void> {
    log.warn({ why }, 'the analysis of a job failed');
    await addEvent(services, job, { level: 'warn', message: `What training changed could not be measured: ${why}` });
  }
}
