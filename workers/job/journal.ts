import { modelMetrics } from '../../src/formats/metrics.ts';
import type { Attempt } from '../../src/jobs/fenced-write.ts';
import type { NewEvent } from '../../src/jobs/job.ts';
import type { JobRecord } from '../../src/jobs/record-store.ts';
import type { StepReport } from '../engine/contract.ts';
import { JobLost } from './endings.ts';

/** Approximate limit on a job's metrics events: long jobs thin them out evenly. Every step still gets a row. */
const MAX_METRICS_EVENTS = 1_000;

/** Records steps as rows and events, in batches so that a fast job does not write at every step. */
export interface JobJournal {
  step(report: StepReport): void;
  /** Writes the gathered steps, with their events. @throws JobLost, or the database's error, and the steps stay gathered */
  flush(): Promise<void>;
}

/** A resumed run repeats steps; those that an earlier attempt recorded stay as they are. */
export function openJournal(jobRecord: Pick<JobRecord, 'addMetrics'>, attempt: Attempt): JobJournal {
  const gathered: StepReport[] = [];
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const steps = gathered.map((report) => ({ ...report, events: [...(isShown(report) ? [metricsEvent(report)] : []), ...(report.notices ?? [])] }));
    if (steps.length === 0) return;
    if (!(await jobRecord.addMetrics(attempt, steps))) throw new JobLost();
    gathered.splice(0, steps.length); // only now: steps that could not be written wait for the next flush
  }

  return {
    step: (report) => {
      gathered.push(report);
    },
    flush: () => {
      // One write at a time, even if a timer and a checkpoint flush at once.
      writing = writing.catch(() => {}).then(write);
      return writing;
    },
  };
}

function isShown({ step, totalSteps, metrics }: StepReport): boolean {
  const every = Math.ceil(totalSteps / MAX_METRICS_EVENTS);
  if (!('train_loss' in metrics)) return false; // a step that was left out, of which a notice tells
  return step % every === 0 || step === totalSteps || 'valid_loss' in metrics || 'full_valid_loss' in metrics;
}

function metricsEvent({ step, totalSteps, metrics }: StepReport): NewEvent {
  const shown = {
    'training loss': metrics['train_loss'],
    'validation loss': metrics['valid_loss'],
    'full validation loss': metrics['full_valid_loss'],
  };
  const losses = Object.entries(shown).flatMap(([name, loss]) => (loss === undefined ? [] : [`${name}=${loss.toFixed(4)}`]));
  return {
    level: 'info',
    type: 'metrics',
    message: `Step ${step}/${totalSteps}: ${losses.join(', ')}`,
    data: { step, total_steps: totalSteps, ...modelMetrics(metrics) },
  };
}
