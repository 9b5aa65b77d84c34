import type { StepMetric } from '../../src/jobs/job.ts';

const HEADER = 'step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy';

/** The contract's results file: a line a step; what was not measured at a step is empty. */
export function resultsFile(metrics: readonly StepMetric[]): string {
  const lines = metrics.map(({ step, trainLoss, trainMeanTokenAccuracy, validLoss, validMeanTokenAccuracy }) =>
    [step, trainLoss, trainMeanTokenAccuracy, validLoss ?? '', validMeanTokenAccuracy ?? ''].join(','),
  );
  return `${[HEADER, ...lines].join('\n')}\n`;
}
