/** Parts of a weight that initial values are taken from. Large products are TensorFlow's; what is small is decomposed in double precision. */
import { Matrix, QrDecomposition, SingularValueDecomposition } from 'ml-matrix';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { normal } from './random.ts';

/**
 * Used where no number of iterations is given: directions beyond those wanted, and iterations. The space found is then that of the largest singular
 * values as far as f32 can tell them from the next ones.
 */
const OVERSAMPLING = 32;
const ITERATIONS = 24;

/** @returns [rows, columns] with orthonormal columns that span those of X, columns ≤ rows */
export function orthonormal(X: Tensor2D): Tensor2D {
  const Q = new QrDecomposition(toMatrix(X)).orthogonalMatrix;
  return tf.tensor2d(Float32Array.from(Q.to1DArray()), X.shape).slice([0, 0], [X.shape[0], Math.min(...X.shape)]);
}

/** The first columns of Q in W = Q·R. @returns [out, r] */
export const firstDirections = (W: Tensor2D, r: number): Tensor2D => orthonormal(W.slice([0, 0], [W.shape[0], r]));

interface SingularValues {
  /** [out, r] */
  U: Tensor2D;
  /** [r], the largest first */
  S: Tensor1D;
  /** [in, r] */
  V: Tensor2D;
}

/**
 * The r largest singular values of W, by subspace iteration (Halko et al. 2011, algorithms 4.4 and 5.1).
 * @param W [out, in]
 * @param options.iterations null: until f32 can do no better
 */
export function largestDirections(W: Tensor2D, r: number, options: { iterations: number | null; seed: number; name: string }): SingularValues {
  const { iterations, seed, name } = options;
  const [out, input] = W.shape;
  const size = Math.min(iterations === null ? r + OVERSAMPLING : r, out, input);
  return tf.tidy(() => {
    let Q = orthonormal(tf.matMul(W, tf.tensor2d(normal(input * size, { seed, name: `${name}/directions` }), [input, size]))); // [out, size]
    // With all directions there is nothing to look for.
    const rounds = size === Math.min(out, input) ? 0 : (iterations ?? ITERATIONS);
    for (let round = 0; round < rounds; round++) {
      const P = orthonormal(tf.matMul(W, Q, true, false)); // [in, size]
      Q = orthonormal(tf.matMul(W, P));
    }
    const small = toMatrix(tf.matMul(W, Q, true, false)); // (QᵀW)ᵀ, [in, size]
    const { leftSingularVectors: V, rightSingularVectors: U, diagonal } = new SingularValueDecomposition(small, { autoTranspose: true });
    const first = (matrix: Matrix): Tensor2D => tf.tensor2d(Float32Array.from(columns(matrix, r).to1DArray()), [matrix.rows, r]);
    return { U: tf.matMul(Q, first(U)), S: tf.tensor1d(Float32Array.from(diagonal.slice(0, r))), V: first(V) };
  }) as unknown as SingularValues;
}

const columns = (matrix: Matrix, count: number): Matrix => matrix.subMatrix(0, matrix.rows - 1, 0, count - 1);

const toMatrix = (X: Tensor2D): Matrix => Matrix.from1DArray(X.shape[0], X.shape[1], Array.from(X.dataSync()));
