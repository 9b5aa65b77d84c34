/** How well a model predicts examples it does not learn from. */
import type { Example } from './data/batch.ts';
import { microBatches } from './data/batches.ts';
import { rowLimit } from './model/token-grid.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

export interface Evaluation {
  /** Cross-entropy per supervised token, nats. */
  loss: number;
  /** Share of supervised tokens whose most probable prediction was right. */
  meanTokenAccuracy: number;
}

/** Lets the event loop turn between passes: messages, timers and signals are not kept waiting. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export async function evaluate(model: TunedModel, examples: readonly Example[]): Promise<Evaluation> {
  let lossSum = 0;
  let correct = 0;
  let supervisedTokens = 0;
  for (const batch of microBatches(examples, { sharedRowLimit: rowLimit(model.config) })) {
    const losses = model.evaluate(batch);
    lossSum += losses.lossSum;
    correct += losses.correct;
    supervisedTokens += losses.supervisedTokens;
    await breathe();
  }
  return { loss: lossSum / supervisedTokens, meanTokenAccuracy: correct / supervisedTokens };
}

/**
 * The validation examples of one evaluation step: the file's examples in order, a batch each time, from the start again when they are through.
 * @param evaluation from 0
 */
export function validationBatch(examples: readonly Example[], evaluation: number, batchSize: number): Example[] {
  const size = Math.min(batchSize, examples.length);
  return Array.from({ length: size }, (_, index) => examples[(evaluation * size + index) % examples.length]!);
}
