import type { CheckpointMetrics, NewEvent } from '../../src/jobs/job.ts';
import type { JobRecord } from '../../src/jobs/record-store.ts';
import type { StepMetrics } from '../engine/contract.ts';
import { JobLost } from './endings.ts';

/** A job has at most about this many metrics events; rows there are for every step. Long jobs thin them out evenly. */
const MOST_METRICS_EVENTS = 1_000;

/** Steps become rows and events, gathered so that a fast job does not write for each. */
export interface JobJournal {
  step(metrics: StepMetrics): void;
  /** Writes what has been gathered. @throws JobLost */
  flush(): Promise<void>;
}

/** @param options.lastRecordedStep of an earlier attempt, whose rows and events are there already: a resumed run repeats steps, its record does not */
export function openJournal(
  jobRecord: JobRecord,
  { id, attempt }: { id: string; attempt: number },
  options: { lastRecordedStep: number },
): JobJournal {
  let gathered: StepMetrics[] = [];
  let recorded = options.lastRecordedStep;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const steps = gathered.filter(({ step }) => step > recorded);
    gathered = [];
    if (steps.length === 0) return;
    if (!(await jobRecord.addMetrics(id, attempt, steps.map(asRow)))) throw new JobLost();
    recorded = steps.at(-1)!.step;
    for (const metrics of steps) if (isShown(metrics)) await jobRecord.appendEvent(id, metricsEvent(metrics));
  }

  return {
    step: (metrics) => {
      gathered.push(metrics);
    },
    flush: () => {
      // One after the other, also when a timer and a checkpoint ask at once.
      writing = writing.catch(() => {}).then(write);
      return writing;
    },
  };
}

const asRow = ({ totalSteps, ...row }: StepMetrics) => row;

function isShown({ step, totalSteps, validLoss, fullValidLoss }: StepMetrics): boolean {
  const every = Math.ceil(totalSteps / MOST_METRICS_EVENTS);
  return step % every === 0 || step === totalSteps || validLoss !== undefined || fullValidLoss !== undefined;
}

function metricsEvent(metrics: StepMetrics): NewEvent {
  const validation = metrics.validLoss === undefined ? '' : `, validation loss=${metrics.validLoss.toFixed(4)}`;
  const full = metrics.fullValidLoss === undefined ? '' : `, full validation loss=${metrics.fullValidLoss.toFixed(4)}`;
  return {
    level: 'info',
    type: 'metrics',
    message: `Step ${metrics.step}/${metrics.totalSteps}: training loss=${metrics.trainLoss.toFixed(4)}${validation}${full}`,
    data: { total_steps: metrics.totalSteps, ...contractMetrics(metrics) },
  };
}

/** The contract's names; what was not measured is left out. */
export function contractMetrics(metrics: StepMetrics): CheckpointMetrics {
  return {
    step: metrics.step,
    train_loss: metrics.trainLoss,
    train_mean_token_accuracy: metrics.trainMeanTokenAccuracy,
    ...(metrics.validLoss !== undefined && { valid_loss: metrics.validLoss }),
    ...(metrics.validMeanTokenAccuracy !== undefined && { valid_mean_token_accuracy: metrics.validMeanTokenAccuracy }),
    ...(metrics.fullValidLoss !== undefined && { full_valid_loss: metrics.fullValidLoss }),
    ...(metrics.fullValidMeanTokenAccuracy !== undefined && { full_valid_mean_token_accuracy: metrics.fullValidMeanTokenAccuracy }),
  };
}
