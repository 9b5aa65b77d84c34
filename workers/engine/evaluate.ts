/** How well a model predicts examples it does not learn from. */
import type { Example } from './data/batch.ts';
import { microBatches } from './data/batches.ts';
import { rowLimit } from './model/token-grid.ts';
import { added, type Metrics, NO_SUMS } from './objectives/objective.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

/** Lets the event loop turn between passes: messages, timers and signals are not kept waiting. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The objective's metrics over all the examples. */
export async function evaluate(model: TunedModel, examples: readonly Example[]): Promise<Metrics> {
  let sums = NO_SUMS;
  for (const batch of microBatches(examples, { sharedRowLimit: rowLimit(model.config) })) {
    sums = added(sums, model.evaluate(batch));
    await breathe();
  }
  return model.objective.metrics(sums);
}

/**
 * The validation examples of one evaluation step: the file's examples in order, a batch each time, from the start again when they are through.
 * @param evaluation from 0
 */
export function validationBatch(examples: readonly Example[], evaluation: number, batchSize: number): Example[] {
  const size = Math.min(batchSize, examples.length);
  return Array.from({ length: size }, (_, index) => examples[(evaluation * size + index) % examples.length]!);
}
