import type { Batch } from '../data/batch.ts';

export interface SupervisedPositions {
  /** Into [rows · length]: the position before each supervised token, whose state predicts it. */
  positions: Int32Array;
  /** The supervised tokens' ids. */
  targets: Int32Array;
}

/** Where a batch's loss is: for each token that is a target, the position before it in its row. */
export function supervisedPositions({ rows, length, inputIds, lossMask }: Batch): SupervisedPositions {
  const positions: number[] = [];
  const targets: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 1; column < length; column++) {
      const at = row * length + column;
      if (lossMask[at] !== 1) continue;
      positions.push(at - 1);
      targets.push(inputIds[at]!);
    }
  }
  return { positions: Int32Array.from(positions), targets: Int32Array.from(targets) };
}
