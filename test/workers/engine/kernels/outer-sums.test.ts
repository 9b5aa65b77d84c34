import { afterEach, describe, expect, it } from 'vitest';
import { addedOuter } from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, TOLERANCES, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

describe.each(TOLERANCES)('aᵀ·b in %s', (precision, tolerance) => {
  // Sizes that fill no whole tiles or registers, and more than one tile.
  it.each([
    [70, 300],
    [7, 3],
    [128, 64],
  ])('[%i, %i] › is added to a sum, part by part, one of them without tokens', (p, q) => {
    const { run } = recorded(
      { a: { shape: [TOKENS, p] }, b: { shape: [TOKENS, q] }, none: { shape: [TOKENS * 2, p] }, empty: { shape: [TOKENS * 2, q] } },
      ({ a, b, none, empty }) => {
        const first = addedOuter(a as Tensor2D, b as Tensor2D);
        const second = addedOuter(none as Tensor2D, empty as Tensor2D, first);
        return [addedOuter(a as Tensor2D, b as Tensor2D, second)];
      },
      precision,
    );
    for (const tokens of [1, 150]) {
      tf.tidy(() => {
        const [a, b] = [waves([tokens, p], 1.3) as Tensor2D, waves([tokens, q], 2.1) as Tensor2D];
        const [none, empty] = [tf.zeros([0, p]), tf.zeros([0, q])] as [Tensor2D, Tensor2D];
        expectClose(run({ a, b, none, empty })[0]!, tf.mul(tf.matMul(a, b, true, false), 2), 2 * tolerance);
      });
    }
  });

  it('does not change a sum that something else reads', () => {
    const { run } = recorded(
      { a: { shape: [TOKENS, 20] }, b: { shape: [TOKENS, 30] } },
      ({ a, b }) => {
        const first = addedOuter(a as Tensor2D, b as Tensor2D);
        return [first, addedOuter(a as Tensor2D, b as Tensor2D, first)];
      },
      precision,
    );
    tf.tidy(() => {
      const [a, b] = [waves([9, 20], 1.3) as Tensor2D, waves([9, 30], 2.1) as Tensor2D];
      const [first, second] = run({ a, b });
      const once = tf.matMul(a, b, true, false);
      expectClose(first!, once, tolerance);
      expectClose(second!, tf.mul(once, 2), 2 * tolerance);
    });
  });
});

it('is zero without tokens and without a sum', () => {
  const { run } = recorded({ a: { shape: [TOKENS, 5] }, b: { shape: [TOKENS, 6] } }, ({ a, b }) => [addedOuter(a as Tensor2D, b as Tensor2D)], 'f32');
  tf.tidy(() => {
    expect([...run({ a: tf.zeros([0, 5]), b: tf.zeros([0, 6]) })[0]!.dataSync()]).toEqual(new Array(30).fill(0));
  });
});
