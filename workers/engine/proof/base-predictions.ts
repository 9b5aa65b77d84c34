/** What a base model predicts after real prompts, before anything is trained: the ground that a delivered adapter is measured against. */
import type { Example } from '../data/batch.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';

/** Prompts whose next token is looked at, and how much of each, from its end. */
const PROMPTS = 4;
const PROMPT_TOKENS = 512;

export interface Predictions {
  /** Examples up to the first token that is learned. */
  prompts: Int32Array[];
  /** Of the token after each prompt, [vocab]. */
  logits: Float32Array[];
}

/** @param model whose adapter is fresh, B being zero, or which is not tuned yet */
export function basePredictions(model: TunedModel, examples: readonly Example[]): Predictions {
  const prompts = examples.slice(0, PROMPTS).map(({ inputIds, lossWeights }) => {
    const end = lossWeights.findIndex((weight) => weight !== 0);
    return inputIds.slice(Math.max(0, end - PROMPT_TOKENS), end);
  });
  return { prompts, logits: predict(model, prompts) };
}

export const predict = (model: TunedModel, prompts: readonly Int32Array[]): Float32Array[] => prompts.map((ids) => model.nextTokenLogits(ids));

/** @returns the largest difference of two logits; NaN or infinity where one of them is no number */
export function largestDifference(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  let largest = 0;
  for (const [prompt, logits] of some.entries()) {
    for (const [id, logit] of logits.entries()) {
      const difference = Math.abs(logit - others[prompt]![id]!);
      if (!Number.isFinite(difference)) return difference;
      largest = Math.max(largest, difference);
    }
  }
  return largest;
}
