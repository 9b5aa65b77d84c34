import { ofModel } from '../../src/formats/metrics.ts';
import type { NewEvent } from '../../src/jobs/job.ts';
import type { JobRecord } from '../../src/jobs/record-store.ts';
import type { StepReport } from '../engine/contract.ts';
import { JobLost } from './endings.ts';

/** A job has at most about this many metrics events; rows there are for every step. Long jobs thin them out evenly. */
const MOST_METRICS_EVENTS = 1_000;

/** Steps become rows and events, gathered so that a fast job does not write for each. */
export interface JobJournal {
  step(report: StepReport): void;
  /** Writes what has been gathered. @throws JobLost */
  flush(): Promise<void>;
}

/** @param options.lastRecordedStep of an earlier attempt, whose rows and events are there already: a resumed run repeats steps, its record does not */
export function openJournal(
  jobRecord: JobRecord,
  { id, attempt }: { id: string; attempt: number },
  options: { lastRecordedStep: number },
): JobJournal {
  let gathered: StepReport[] = [];
  let recorded = options.lastRecordedStep;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const steps = gathered.filter(({ step }) => step > recorded);
    gathered = [];
    if (steps.length === 0) return;
    if (!(await jobRecord.addMetrics(id, attempt, steps))) throw new JobLost();
    recorded = steps.at(-1)!.step;
    for (const report of steps) if (isShown(report)) await jobRecord.appendEvent(id, metricsEvent(report));
  }

  return {
    step: (report) => {
      gathered.push(report);
    },
    flush: () => {
      // One after the other, also when a timer and a checkpoint ask at once.
      writing = writing.catch(() => {}).then(write);
      return writing;
    },
  };
}

function isShown({ step, totalSteps, metrics }: StepReport): boolean {
  const every = Math.ceil(totalSteps / MOST_METRICS_EVENTS);
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
    data: { step, total_steps: totalSteps, ...ofModel(metrics) },
  };
}
