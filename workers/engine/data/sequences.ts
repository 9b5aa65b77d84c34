/** Examples of several independent sequences: one line of a file whose turns are trained in texts of their own. */
import { type Example, tokensIn } from './batch.ts';

/** @returns each sequence as an example of its own, without copying; the example itself if it is one sequence */
export function sequencesIn(example: Example): Example[] {
  const { inputIds, lossWeights, starts } = example;
  if (starts === undefined) return [example];
  return Array.from(starts, (start, index) => ({
    inputIds: inputIds.subarray(start, starts[index + 1]),
    lossWeights: lossWeights.subarray(start, starts[index + 1]),
  }));
}

/** Nothing predicts a sequence's first token, so it never counts. */
export function joinSequences(sequences: readonly Example[]): Example {
  for (const { lossWeights } of sequences) if (lossWeights.length > 0) lossWeights[0] = 0;
  const [only, ...more] = sequences;
  if (only !== undefined && more.length === 0) return { inputIds: only.inputIds, lossWeights: only.lossWeights };
  const length = tokensIn(sequences);
  const joined = { inputIds: new Int32Array(length), lossWeights: new Float32Array(length), starts: new Int32Array(sequences.length) };
  let at = 0;
  for (const [index, { inputIds, lossWeights }] of sequences.entries()) {
    joined.starts[index] = at;
    joined.inputIds.set(inputIds, at);
    joined.lossWeights.set(lossWeights, at);
    at += inputIds.length;
  }
  return joined;
}

/** @returns the tokens of the longest sequence: what a model must be able to read at once */
export const longestSequence = (example: Example): number => Math.max(...sequencesIn(example).map(({ inputIds }) => inputIds.length));
