/** Which examples an optimizer step sees, and how they lie in memory. */
import type { Batch, Example } from './batch.ts';
import { epochOrder } from './shuffle.ts';

/** Padded tokens of one forward and backward pass: what of a step is in memory at once. */
export const MICRO_BATCH_TOKENS = 4096;
/** Lengths are rounded up to it: few different shapes, and rows that matrix kernels like. */
export const LENGTH_MULTIPLE = 8;

/**
 * @param step from 0
 * @returns the examples of that optimizer step; an epoch's last step takes what is left of it
 */
export function stepExamples(examples: readonly Example[], step: number, { batchSize, seed }: { batchSize: number; seed: number }): Example[] {
  const stepsPerEpoch = Math.ceil(examples.length / batchSize);
  const order = epochOrder(examples.length, { seed, epoch: Math.floor(step / stepsPerEpoch) });
  const first = (step % stepsPerEpoch) * batchSize;
  return [...order.subarray(first, first + batchSize)].map((index) => examples[index]!);
}

/**
 * Splits examples into passes of at most `tokenBudget` padded tokens (a longer example is a pass of its own), sorted by length so that little is padding.
 * Which pass an example falls into changes rounding only: the step's loss is a sum over its tokens.
 */
export function microBatches(examples: readonly Example[], tokenBudget = MICRO_BATCH_TOKENS): Batch[] {
  const byLength = [...examples].sort((a, b) => b.inputIds.length - a.inputIds.length);
  const batches: Batch[] = [];
  for (let first = 0; first < byLength.length; ) {
    const rows = Math.max(1, Math.floor(tokenBudget / paddedLength(byLength[first]!)));
    batches.push(layOut(byLength.slice(first, first + rows)));
    first += rows;
  }
  return batches;
}

const paddedLength = ({ inputIds }: Example): number => Math.ceil(inputIds.length / LENGTH_MULTIPLE) * LENGTH_MULTIPLE;

/** Lays examples side by side, padded on the right to the longest. */
export function layOut(examples: readonly Example[]): Batch {
  const rows = examples.length;
  const length = Math.max(...examples.map(paddedLength));
  const inputIds = new Int32Array(rows * length);
  const attentionMask = new Uint8Array(rows * length);
  const lossMask = new Uint8Array(rows * length);
  for (const [row, example] of examples.entries()) {
    inputIds.set(example.inputIds, row * length);
    attentionMask.fill(1, row * length, row * length + example.inputIds.length);
    lossMask.set(example.lossMask, row * length);
  }
  return { rows, length, inputIds, attentionMask, lossMask };
}
