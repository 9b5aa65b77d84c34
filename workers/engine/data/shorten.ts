import type { Example } from './batch.ts';
import { joinSequences, longestSequence, sequencesIn } from './sequences.ts';

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
  const cut = sequencesIn(example).map(({ inputIds, lossWeights }) => {
    const { length } = inputIds;
    const [start, end] = truncation === 'right' ? [0, maxLengthTokens] : [Math.max(0, length - maxLengthTokens), length];
    return { inputIds: inputIds.slice(start, end), lossWeights: lossWeights.slice(start, end) };
  });
  // A sequence that lost all of its answer teaches nothing. The token that predicted a sequence's first one may have been cut off.
  const kept = cut.filter(({ lossWeights }) => lossWeights.some((weight, index) => index > 0 && weight !== 0));
  if (together && kept.length < cut.length)
    return joinSequences(cut.map(({ inputIds }) => ({ inputIds, lossWeights: new Float32Array(inputIds.length) })));
  return joinSequences(kept.length === 0 ? cut.slice(0, 1) : kept);
}
