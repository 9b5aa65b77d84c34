import { layOut } from '../data/batches.ts';
import type { GridContent } from './token-grid.ts';

/**
 * The most probable token after each text, of equally probable ones the first.
 * @param logitsAt the logits at positions of a grid, [positions, vocab]
 */
export function mostProbable(
  texts: readonly Int32Array[],
  vocabSize: number,
  logitsAt: (content: GridContent, positions: Int32Array) => Float32Array,
): Int32Array {
  const batch = layOut(texts.map((inputIds) => [{ inputIds, lossWeights: new Float32Array(inputIds.length) }]));
  const logits = logitsAt(
    batch,
    Int32Array.from(texts, ({ length }, row) => row * batch.length + length - 1),
  );
  return Int32Array.from(texts, (_, row) => largest(logits.subarray(row * vocabSize, (row + 1) * vocabSize)));
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}
