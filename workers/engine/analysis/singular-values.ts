/** The singular values of the change of a weight, with their directions. */
import { Matrix, QrDecomposition, SingularValueDecomposition } from 'ml-matrix';
import { ENERGY_RANKS, type EnergyShare, SHOWN_SINGULAR_VALUES } from '../../../src/formats/analysis.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import { largestDirections } from '../tuning/decomposition.ts';
import type { LowRankProduct } from '../tuning/method.ts';

export interface SingularValues {
  /** The largest first. */
  S: number[];
  /** [rows, S.length] */
  U: Float32Array;
  /** [columns, S.length] */
  V: Float32Array;
  /** Sum of the squares of all, also of those that are not in S. */
  energy: number;
  /** How far one of those that are shown may be from the true value, as a part of the largest. */
  error: number;
}

/** Directions that are searched for: more than are shown, so that those are exact enough. A matrix with no more has all of them. */
const SEARCHED = 96;
/** Rounds of the search. Each takes as long as the first; with two, the changes that full fine-tuning makes are known to a thousandth of the largest value. */
const ROUNDS = 2;

/** Of scaling · B·A, exactly: B = Q₁R₁ and Aᵀ = Q₂R₂, so what is left to decompose is R₁R₂ᵀ, [r, r]. */
export function ofProduct({ A, B, r, scaling, inputFirst }: LowRankProduct): SingularValues {
  const left = new QrDecomposition(Matrix.from1DArray(B.length / r, r, Array.from(B)));
  const right = new QrDecomposition(Matrix.from1DArray(r, A.length / r, Array.from(A)).transpose());
  const core = left.upperTriangularMatrix.mmul(right.upperTriangularMatrix.transpose()).mul(scaling);
  const { diagonal, leftSingularVectors, rightSingularVectors } = new SingularValueDecomposition(core);
  const directions = (Q: Matrix, own: Matrix): Float32Array => Float32Array.from(Q.mmul(own).to1DArray());
  const [out, input] = [directions(left.orthogonalMatrix, leftSingularVectors), directions(right.orthogonalMatrix, rightSingularVectors)];
  return { S: diagonal, U: inputFirst ? input : out, V: inputFirst ? out : input, energy: sumOfSquares(diagonal), error: 0 };
}

/** @param D row-major. @param name decides where the search begins */
export function ofMatrix(D: Float32Array, [rows, columns]: readonly [number, number], name: string): SingularValues {
  const size = Math.min(SEARCHED, rows, columns);
  return tidyValues(() => {
    const matrix: Tensor2D = tf.tensor2d(D, [rows, columns]);
    const { U, S, V } = largestDirections(matrix, size, { iterations: ROUNDS, seed: 0, name });
    const values = [...S.dataSync()];
    // |D·v − σ·u| bounds the distance of σ from a true singular value.
    const residual = tf
      .norm(tf.sub(tf.matMul(matrix, V), tf.mul(U, S)), 'euclidean', 0)
      .dataSync()
      .subarray(0, SHOWN_SINGULAR_VALUES);
    const isWhole = size === Math.min(rows, columns);
    return {
      S: values,
      U: U.dataSync() as Float32Array,
      V: V.dataSync() as Float32Array,
      energy: sumOfSquares(D),
      error: isWhole ? 0 : Math.max(...residual) / values[0]!,
    };
  });
}

export function sumOfSquares(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

/** @returns the part of the energy that the first r directions have, for each r that a matrix of this shape can have */
export function energyShares({ S, energy }: Pick<SingularValues, 'S' | 'energy'>, shape: readonly number[]): EnergyShare[] {
  return ENERGY_RANKS.filter((r) => r <= Math.min(...shape)).map((r) => ({ r, share: Math.min(1, sumOfSquares(S.slice(0, r)) / energy) }));
}
