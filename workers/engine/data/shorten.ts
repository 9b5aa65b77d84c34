import type { Example } from './batch.ts';
import { joinSequences, longestSequence, sequencesIn, tokensWithin } from './sequences.ts';

export type Truncation = 'error' | 'right' | 'left' | 'drop';

interface ShortenOptions {
  maxLengthTokens: number;
  truncation: Truncation;
  /** Whether the example needs all of its sequences, as a pair of answers does; default: false. */
  together?: boolean;
}

/**
 * Cuts each sequence of an example that is longer than the model may read.
 * @returns the example itself if nothing is cut; null to drop it
 */
export function shorten(example: Example, { maxLengthTokens, truncation, together = false }: ShortenOptions): Example | 'too long' | null {
  if (longestSequence(example) <= maxLengthTokens) return example;
  if (truncation === 'error') return 'too long';
  if (truncation === 'drop') return null;
  const cut = sequencesIn(example).map((sequence) => {
    const { length } = sequence.inputIds;
    const kept =
      truncation === 'right' ? tokensWithin(sequence, 0, maxLengthTokens) : tokensWithin(sequence, Math.max(0, length - maxLengthTokens), length);
    return { ...kept, inputIds: kept.inputIds.slice(), lossWeights: kept.lossWeights.slice() }; // of their own, for they are changed
  });
  // A sequence that lost all of its answer teaches nothing. The token that predicted a sequence's first one may have been cut off.
  const kept = cut.filter(({ lossWeights }) => lossWeights.some((weight, index) => index > 0 && weight !== 0));
  if (together && kept.length < cut.length)
    return joinSequences(cut.map(({ inputIds }) => ({ inputIds, lossWeights: new Float32Array(inputIds.length) })));
  return joinSequences(kept.length === 0 ? cut.slice(0, 1) : kept);
}
