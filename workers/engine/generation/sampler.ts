/** Chooses the next token of a sequence: bias, temperature, top-k, top-p and min-p, in the order in which transformers' `generate` applies them. */
import { splitMix32 } from '../data/shuffle.ts';
import type { Sampling } from './contract.ts';
import { type KeptTokens, TokenRanking } from './token-ranking.ts';

/** The part of a `Sampling` that one choice depends on. */
export type Filters = Omit<Sampling, 'seed'>;

/**
 * The random numbers of one sequence.
 * @param seed an integer; its bits beyond the lowest 32 count too
 */
export function sequenceRandom(seed: number): () => number {
  const high = Math.floor(seed / 2 ** 32);
  return splitMix32(high === 0 ? seed : (seed ^ (splitMix32(high)() * 2 ** 32)) >>> 0);
}

/**
 * @param logits [vocab], which stay as they are
 * @param random numbers in [0, 1); each choice takes one, and none at temperature 0
 * @returns the token's id; of equally probable ones, the lower comes first
 * @throws Error if the logits are not numbers, as those of a model with broken weights are
 */
export function chooseToken(logits: Float32Array, filters: Filters, random: () => number): number {
  const biased = withBias(logits, filters.logitBias);
  const best = mostProbable(biased);
  if (filters.temperature === 0) return best;
  const { ids, weights, total } = keptTokens(biased, filters, biased[best]!);
  let left = random() * total;
  for (let index = 0; index < weights.length; index++) {
    left -= weights[index]!;
    if (left < 0) return ids === null ? index : ids[index]!;
  }
  return best; // reached only through rounding errors in the sum
}

/**
 * @param logits [vocab], biased
 * @param top the largest of them
 * @returns the tokens that the filters leave; `ids` is null if these are all
 */
function keptTokens(
  logits: Float32Array,
  { temperature, topK, topP, minP }: Filters,
  top: number,
): KeptTokens | (Omit<KeptTokens, 'ids'> & { ids: null }) {
  const limitsCount = topK > 0 && topK < logits.length;
  if (!limitsCount && topP >= 1 && minP <= 0) return { ids: null, ...weightsOf(logits, { top, temperature }) };
  const ranking = new TokenRanking(logits, { top, temperature });
  if (limitsCount) ranking.keepCount(topK);
  if (topP < 1) ranking.keepMass(topP);
  if (minP > 0) ranking.keepRatio(minP);
  return ranking.kept();
}

/** A plain loop: over a whole vocabulary, `Float64Array.from` takes ten times as long. */
function weightsOf(logits: Float32Array, { top, temperature }: { top: number; temperature: number }): Omit<KeptTokens, 'ids'> {
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp((logits[id]! - top) / temperature);
    weights[id] = weight;
    total += weight;
  }
  return { weights, total };
}

function withBias(logits: Float32Array, bias: ReadonlyMap<number, number>): Float32Array {
  if (bias.size === 0) return logits;
  const biased = logits.slice();
  for (const [id, value] of bias) if (id < biased.length) biased[id]! += value;
  return biased;
}

function mostProbable(logits: Float32Array): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    if (logits[id]! > most) {
      most = logits[id]!;
      best = id;
    }
  }
  if (best === -1 || most === Number.POSITIVE_INFINITY)
    throw new Error('the logits of the next token are not finite: the model or the adapter has broken weights');
  return best;
}
