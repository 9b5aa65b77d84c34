/** Certifies each resume of a job: where it had stopped, what was loaded, and the first loss after. */
import type { Resume } from '../../src/formats/resumes.ts';
import { unixSeconds } from '../../src/formats/unix-seconds.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import type { Prepared, StepReport } from '../engine/contract.ts';
import type { LoadedCheckpoint } from './checkpoint.ts';
import { saveReport } from './progress.ts';

/** The newest are kept: a job that is interrupted more often than this is not read one by one. */
const MAX_CERTIFICATES = 1_000;

export interface ResumeCertificates {
  /** Call when the model is ready. Does nothing for the job's first run. @param loaded null: the run begins from the start */
  prepared(facts: Prepared, loaded: LoadedCheckpoint | null): Promise<void>;
  /** Call after each step; only the first one after `prepared` is written down. */
  step(report: StepReport): Promise<void>;
}

export function certifyResumes(services: Pick<Services, 'jobRecord' | 'reports'>, job: Job): ResumeCertificates {
  const { jobRecord, reports } = services;
  let earlier: Resume[] = [];
  let open: Resume | null = null;

  const save = (resume: Resume): Promise<void> =>
    saveReport(services, job, 'resumes', { object: 'fine_tuning.job.resumes', data: [...earlier, resume].slice(-MAX_CERTIFICATES) });

  return {
    async prepared({ resumed }, loaded) {
      const stoppedAfter = (await jobRecord.lastMetric(job.id))?.step ?? 0;
      if (loaded === null && stoppedAfter === 0) return;
      earlier = (await reports.find(job.owner, job.id, 'resumes'))?.data ?? [];
      open = {
        attempt: job.attempt,
        resumed_at: unixSeconds(new Date()),
        stopped_after_step: stoppedAfter,
        checkpoint: loaded && {
          step: loaded.checkpoint.step,
          name: loaded.checkpoint.name,
          files: loaded.files,
          loss: resumed?.loss ?? null,
        },
        first_step: null,
      };
      await save(open);
    },
    async step({ step, metrics }) {
      if (open === null) return;
      const resume = open;
      open = null;
      const before = await jobRecord.metric(job.id, step);
      await save({ ...resume, first_step: { step, train_loss: metrics['train_loss'] ?? null, recorded: before?.metrics['train_loss'] ?? null } });
    },
  };
}
