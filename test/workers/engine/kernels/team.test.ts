import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
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

/** Nanoseconds that each thread of this process has run. */
const runTimes = (): Map<string, number> =>
  new Map(
    readdirSync('/proc/self/task').map((thread) => [thread, Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[0])]),
  );

describe.skipIf(process.platform !== 'linux' || availableParallelism() < 2)('the threads that share kernels, after they were asleep', () => {
  // A thread that wakes after the one who asks has done all by itself must be woken for the next kernel too.
  it('share the work again, however often they came too late', async () => {
    const record = (columns: number) =>
      openingForOneThread(() =>
        recorded({ x: { shape: [TOKENS, INNER] }, W: { shape: [columns, INNER] } }, ({ x, W }) =>
          rowProductsKernel(x as Tensor2D, [W as Tensor2D], { rounds: false }),
        ),
      );
    const [few, many] = [64, 8 * COLUMNS];
    const short = record(few);
    const shortFeeds = { x: waves([1, INNER], 1.3), W: waves([few, INNER], 2.1) };
    for (let round = 0; round < ROUNDS; round++) {
      await setTimeout(ASLEEP_MS);
      tf.tidy(() => void short.run(shortFeeds));
    }
    disposeSession();
    const long = record(many);
    const longFeeds = { x: waves([40, INNER], 1.3), W: waves([many, INNER], 2.1) };
    const before = runTimes();
    for (let round = 0; round < ROUNDS; round++) tf.tidy(() => void long.run(longFeeds));
    const ran = [...runTimes()].map(([thread, nanoseconds]) => nanoseconds - (before.get(thread) ?? 0)).sort((a, b) => b - a);
    expect(ran[1]!).toBeGreaterThan(ran[0]! / 10);
    tf.dispose([shortFeeds, longFeeds]);
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
