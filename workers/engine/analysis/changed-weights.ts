/** The weights in which a tuned model differs from its base, one at a time. */

import { shapeSize } from '../../../src/formats/shape-size.ts';
import { openMergedWeights, type TunedFiles } from '../export/merged-weights.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import type { LowRankProduct } from '../tuning/method.ts';
import { ofMatrix, ofProduct, type SingularValues, sumOfSquares } from './singular-values.ts';

export interface ChangedWeight {
  /** As in the checkpoint. */
  name: string;
  shape: readonly number[];
  /** Sums of squares: of the change, and of the base's weight. */
  energy: number;
  baseEnergy: number;
  /** null for a vector. */
  singularValues: SingularValues | null;
}

/**
 * @param baseDir the base model's directory
 * @param tuned   the base with an adapter, or the tuned model itself
 * @throws Refusal `unsupported_export` for an adapter that no weights can hold
 */
export function* changedWeights(baseDir: string, tuned: TunedFiles): Generator<ChangedWeight> {
  const base = openWeights(baseDir, readModelConfig(baseDir));
  try {
    const merged = openMergedWeights(tuned);
    try {
      for (const [name, shape] of merged.shapes) {
        const W = new Float32Array(shapeSize(shape));
        base.readInto(name, W);
        const product = merged.product(name);
        const isLow = product !== null && product.r <= Math.min(...shape);
        const change = isLow ? ofUpdate(product) : ofDifference(name, { shape, W, tuned: merged.read(name) });
        if (change.energy > 0) yield { name, shape, baseEnergy: sumOfSquares(W), ...change };
      }
    } finally {
      merged.close();
    }
  } finally {
    base.close();
  }
}

type Change = Pick<ChangedWeight, 'energy' | 'singularValues'>;

function ofUpdate(product: LowRankProduct): Change {
  const singularValues = ofProduct(product);
  return { energy: singularValues.energy, singularValues };
}

function ofDifference(name: string, { shape, W, tuned }: { shape: readonly number[]; W: Float32Array; tuned: Float32Array }): Change {
  const D = tuned.map((value, index) => value - W[index]!);
  const energy = sumOfSquares(D);
  const [rows, columns] = shape;
  return { energy, singularValues: columns === undefined || energy === 0 ? null : ofMatrix(D, [rows!, columns], name) };
}
