import { afterEach, describe, it } from 'vitest';
import { rowProductsKernel } from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

describe('products of a few rows', () => {
  // The matrix unit computes 16 rows, 16 columns and 32 elements of the inner axis at once.
  it.each([
    [96, 64],
    [70, 131],
    [33, 5],
  ])('with a matrix in bf16 of %i inputs and %i outputs give the result of a plain product', (inner, columns) => {
    // A product's result is in bf16.
    const body = ({ x, W, I }: Record<string, Tensor>) =>
      rowProductsKernel(x as Tensor2D, [tf.matMul(W as Tensor2D, I as Tensor2D), W as Tensor2D], { rounds: true });
    const { run } = recorded({ x: { shape: [TOKENS, inner] }, W: { shape: [columns, inner] }, I: { shape: [inner, inner] } }, body, 'bf16');
    for (const rows of [1, 8, 16, 37])
      tf.tidy(() => {
        const [x, W] = [waves([rows, inner], 1.3), waves([columns, inner], 2.1)] as [Tensor2D, Tensor2D];
        const wanted = tf.matMul(x, W, false, true);
        for (const product of run({ x, W, I: tf.eye(inner) })) expectClose(product, wanted);
      });
  });
});
