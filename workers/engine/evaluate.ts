/** How well a model predicts examples, without training on them. */
import type { Batch, Example } from './data/batch.ts';
import { microBatches } from './data/batches.ts';
import { type ExampleStore, mapped } from './data/example-store.ts';
import { packingOf } from './data/packing.ts';
import { addSums, type Metrics, NO_SUMS, type Sums } from './objectives/objective.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

/** Lets messages, timers and signals be handled between passes. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * @param onBatch called after each batch
 * @returns the objective's metrics over all examples, of which a few are in memory at a time
 */
export async function evaluate(model: TunedModel, examples: ExampleStore, onBatch?: () => void | Promise<void>): Promise<Metrics> {
  const { prior, metrics } = model.objective;
  const totals = prior?.totals(await sumsOver(model, mapped(examples, prior.of), { onBatch }));
  return metrics(await sumsOver(model, examples, { totals, onBatch }));
}

interface OverOptions {
  totals?: Batch['totals'];
  onBatch: (() => void | Promise<void>) | undefined;
}

async function sumsOver(model: TunedModel, examples: ExampleStore, { totals, onBatch }: OverOptions): Promise<Sums> {
  let sums = NO_SUMS;
  for (const batch of microBatches(examples, packingOf(model))) {
    sums = addSums(sums, model.evaluate(totals === undefined ? batch : { ...batch, totals }));
    await onBatch?.();
    await yieldToEventLoop();
  }
  return sums;
}

/**
 * The validation examples of one evaluation step: consecutive batches in the file's order, starting again at its end.
 * @param evaluation from 0
 */
export function validationBatch(examples: ExampleStore, evaluation: number, batchSize: number): Example[] {
  const size = Math.min(batchSize, examples.length);
  return Array.from({ length: size }, (_, index) => examples.read((evaluation * size + index) % examples.length));
}
