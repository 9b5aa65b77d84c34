import { afterEach, describe, expect, it } from 'vitest';
import { expertOuterKernel, expertProductsKernel } from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, TOLERANCES, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

const [COUNT, PER_ROW] = [5, 2];
/** The expert 3 has no rows, and 0 has more than fit into one block. */
const expertOf = (choice: number): number => [0, 1, 0, 2, 0, 4, 0][choice % 7]!;
const chosen = (choices: number): Tensor1D => tf.tensor1d(Int32Array.from({ length: choices }, (_, choice) => expertOf(choice)));

/** Row by row, with tfjs' own products. */
function products(x: Tensor2D, W: Tensor3D, transposed: boolean): Tensor {
  const [matrices, rows] = [tf.unstack(W) as Tensor2D[], tf.split(x, x.shape[0]) as Tensor2D[]];
  return tf.concat(
    rows.flatMap((row, i) =>
      Array.from({ length: PER_ROW }, (_, k) => tf.matMul(row, matrices[expertOf(i * PER_ROW + k)]!, false, transposed) as Tensor2D),
    ),
  );
}

describe.each(TOLERANCES)('products with the matrices of experts in %s', (precision, tolerance) => {
  // Odd sizes fill no whole words of bf16.
  it.each([
    [70, 150],
    [7, 3],
    [64, 128],
  ])('of %i columns by %i rows › are those of each row with its own', (inner, out) => {
    for (const transposed of [true, false]) {
      const shape = transposed ? [COUNT, out, inner] : [COUNT, inner, out];
      const { run } = recorded(
        { x: { shape: [TOKENS, inner] }, W: { shape }, experts: { shape: [TOKENS * PER_ROW], dtype: 'int32' } },
        ({ x, W, experts }) => [expertProductsKernel(x as Tensor2D, W as Tensor3D, experts as Tensor1D, { transposed })],
        precision,
      );
      for (const tokens of [1, 150]) {
        tf.tidy(() => {
          const [x, W] = [waves([tokens, inner], 1.3) as Tensor2D, waves(shape, 2.1) as Tensor3D];
          expectClose(run({ x, W, experts: chosen(tokens * PER_ROW) })[0]!, products(x, W, transposed), tolerance);
        });
      }
      disposeSession();
    }
  });

  it('summed over the rows of each expert › are zero for one without rows', () => {
    const [p, q] = [33, 70];
    const { run } = recorded(
      { a: { shape: [TOKENS * PER_ROW, p] }, b: { shape: [TOKENS, q] }, experts: { shape: [TOKENS * PER_ROW], dtype: 'int32' } },
      ({ a, b, experts }) => [expertOuterKernel(a as Tensor2D, b as Tensor2D, experts as Tensor1D, { count: COUNT })],
      precision,
    );
    for (const tokens of [1, 150]) {
      tf.tidy(() => {
        const [a, b] = [waves([tokens * PER_ROW, p], 1.3) as Tensor2D, waves([tokens, q], 2.1) as Tensor2D];
        const repeated: Tensor2D = tf.reshape(tf.tile(tf.reshape(b, [tokens, 1, q]), [1, PER_ROW, 1]), [tokens * PER_ROW, q]);
        const own = (expert: number): Tensor2D => tf.reshape(tf.cast(tf.equal(chosen(tokens * PER_ROW), expert), 'float32'), [-1, 1]);
        const wanted = tf.stack(Array.from({ length: COUNT }, (_, e) => tf.matMul(tf.mul(a, own(e)) as Tensor2D, repeated, true, false)));
        expectClose(run({ a, b, experts: chosen(tokens * PER_ROW) })[0]!, wanted, tolerance);
      });
    }
  });
});

it('an expert that does not exist › is an error', () => {
  const { run } = recorded(
    { x: { shape: [TOKENS, 4] }, W: { shape: [2, 3, 4] }, experts: { shape: [TOKENS], dtype: 'int32' } },
    ({ x, W, experts }) => [expertProductsKernel(x as Tensor2D, W as Tensor3D, experts as Tensor1D, { transposed: true })],
  );
  tf.tidy(() => {
    const experts = tf.tensor1d([2], 'int32');
    expect(() => run({ x: waves([1, 4], 1), W: waves([2, 3, 4], 1), experts })).toThrow('an expert does not exist');
  });
});
