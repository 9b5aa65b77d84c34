import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { rowProductsKernel } from '../../../../workers/engine/tensorflow/native.ts';
import { openingForOneThread, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, recorded, TOKENS, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

/** Enough for every thread to take ranges. */
const [INNER, COLUMNS] = [200, 3001];
const ROUNDS = 60;
/** Longer than threads wait awake. */
const ASLEEP_MS = 3;

describe('the threads that share kernels of a session for one thread', () => {
  it('give in every run, also when they were asleep, the bits that TensorFlow’s pool gives', async () => {
    const record = () =>
      recorded({ x: { shape: [TOKENS, INNER] }, W: { shape: [COLUMNS, INNER] } }, ({ x, W }) =>
        rowProductsKernel(x as Tensor2D, [W as Tensor2D, W as Tensor2D], { rounds: false }),
      );
    const feeds = [1, 2, 5].map((rows) => ({ x: waves([rows, INNER], 1.3 + rows), W: waves([COLUMNS, INNER], 2.1) }));
    const bitsOf = ({ run }: ReturnType<typeof record>, index: number): Buffer[] =>
      tf.tidy(() => run(feeds[index]!).map((product) => Buffer.from(product.dataSync<'float32'>().slice().buffer)));
    const pooled = record();
    const wanted = feeds.map((_, index) => bitsOf(pooled, index));
    disposeSession();
    const shared = openingForOneThread(record);
    for (let round = 0; round < ROUNDS; round++) {
      if (round % 10 === 0) await setTimeout(ASLEEP_MS);
      const index = round % feeds.length;
      for (const [part, bits] of bitsOf(shared, index).entries()) expect(bits.equals(wanted[index]![part]!)).toBe(true);
    }
    tf.dispose(feeds);
  });
});

describe('openingForOneThread', () => {
  it('whose code throws leaves the settings of later sessions as they were', () => {
    const before = process.env['TF_SESSION_CONFIG'];
    expect(() =>
      openingForOneThread(() => {
        throw new Error('no graph');
      }),
    ).toThrow('no graph');
    expect(process.env['TF_SESSION_CONFIG']).toBe(before);
  });
});
