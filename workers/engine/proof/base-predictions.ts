/** A base model's predictions on real prompts before training: what a delivered adapter is compared with. */
import { type ExampleStore, firstExamples } from '../data/example-store.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';

/** Number of prompts, and tokens kept of each, from its end. */
const PROMPTS = 4;
const PROMPT_TOKENS = 512;

export interface Predictions {
  /** Examples up to their first supervised token. */
  prompts: Int32Array[];
  /** Logits of the token after each prompt, [vocab]. */
  logits: Float32Array[];
}

/** @param model not trained yet: apart from virtual tokens, a fresh adapter changes nothing */
export function basePredictions(model: TunedModel, examples: ExampleStore): Predictions {
  const prompts = firstExamples(examples, PROMPTS).map(({ inputIds, lossWeights }) => {
    const end = lossWeights.findIndex((weight) => weight !== 0);
    return inputIds.slice(Math.max(0, end - PROMPT_TOKENS), end);
  });
  return { prompts, logits: prompts.map((ids) => model.nextTokenLogits(ids, { withoutVirtualTokens: true })) };
}

export const predict = (model: TunedModel, prompts: readonly Int32Array[]): Float32Array[] => prompts.map((ids) => model.nextTokenLogits(ids));

/** @returns the largest difference between logits; NaN or infinite if any logit is */
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
