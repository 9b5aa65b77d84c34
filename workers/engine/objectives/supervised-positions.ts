import type { Batch } from '../data/batch.ts';

export interface SupervisedPositions {
  /** [n] indices into [rows · length]: the position before each supervised token, whose state predicts it. */
  positions: Int32Array;
  /** [n] ids of the supervised tokens. */
  targets: Int32Array;
  /** [n] weight of each token in the loss. */
  weights: Float32Array;
}

/** Finds the tokens of a batch with a non-zero weight, and the position before each in its row. */
export function supervisedPositions({ rows, length, inputIds, lossWeights }: Batch): SupervisedPositions {
  const positions: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 1; column < length; column++) {
      const at = row * length + column;
      if (lossWeights[at] !== 0) positions.push(at - 1);
    }
  }
  return {
    positions: Int32Array.from(positions),
    targets: Int32Array.from(positions, (position) => inputIds[position + 1]!),
    weights: Float32Array.from(positions, (position) => lossWeights[position + 1]!),
  };
}
