import { afterEach, describe, expect, it } from 'vitest';
import type { Output } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../../workers/engine/compiled/recording/recorder.ts';
import { GraphSession } from '../../../../../workers/engine/compiled/session/session.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

const ROWS = 101;
let session: GraphSession | undefined;
afterEach(() => session?.dispose());

/** Records a function of x [rows, 6], where the number of rows varies. @returns a function that runs the recording */
function recorded(body: (x: Tensor2D) => Tensor): (x: Tensor2D) => Tensor {
  const recorder = new Recorder();
  recorder.size('rows', ROWS);
  const x = recorder.feed('x', 'float32', [ROWS, 6]) as Tensor2D;
  let result: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      result = recorder.outputOf(body(x));
    }),
  );
  recorder.dispose();
  session = new GraphSession(recorder.graph, [result!]);
  return (given) => tf.tidy(() => session!.run({ x: given, rows: tf.scalar(given.shape[0], 'int32') }, [result!])[0]!);
}

const input = (rows: number): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: rows * 6 }, (_, index) => Math.sin(index * 1.7)),
    [rows, 6],
  );

const bodies: [string, (x: Tensor2D) => Tensor][] = [
  ['elementwise', (x) => tf.add(tf.mul(tf.tanh(x), 2), tf.rsqrt(tf.add(tf.square(x), 1)))],
  ['a product and its softmax', (x) => tf.softmax(tf.matMul(x, tf.ones([6, 4])))],
  ['reshapes to sizes with the number of rows', (x) => tf.transpose(tf.reshape(x, [x.shape[0], 2, 3]), [1, 0, 2]).reshape([x.shape[0] * 2, 3])],
  ['a split and a concatenation', (x) => tf.concat([...tf.split(x, [2, 4], 1)].reverse(), 1)],
  ['sums and means', (x) => tf.sub(tf.sum(x, 1, true), tf.mean(x, 0))],
  ['a slice of all rows', (x) => tf.slice(x, [0, 1], [x.shape[0], 3])],
  [
    'a gradient',
    (x) => {
      const f = (x: Tensor): Tensor => tf.sum(tf.mul(tf.sigmoid(tf.matMul(x as Tensor2D, tf.ones([6, 5]))), 0.5));
      return tf.grad(f)(x);
    },
  ],
];

describe.each(bodies)('a recording of %s', (_, body) => {
  it('computes what the eager code computes, for any number of rows', () => {
    const before = tf.memory().numTensors;
    const run = recorded(body);
    for (const rows of [1, 4, 33]) {
      tf.tidy(() => {
        const x = input(rows);
        const [wanted, got] = [body(x), run(x)];
        expect(got.shape).toEqual(wanted.shape);
        const difference = tf.max(tf.abs(tf.sub(got, wanted))).dataSync()[0]!;
        expect(difference).toBeLessThan(1e-6);
      });
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('recording', () => {
  it('computes nothing, so that code which reads a value is refused', () => {
    expect(() => recorded((x) => tf.scalar(x.dataSync()[0]!))).toThrow('a tensor cannot be read while the code that computes it is being recorded');
  });

  it('refuses a tensor from outside that is not bound to an output', () => {
    const outside = tf.add(tf.ones([6]), 1);
    expect(() => recorded((x) => tf.add(x, outside))).toThrow('a tensor from outside the recording');
    outside.dispose();
  });

  it('refuses a constant with the number of rows in its shape, because the number varies', () => {
    const ramp = Float32Array.from({ length: ROWS * 6 }, (_, index) => index);
    expect(() => recorded((x) => tf.add(x, tf.tensor2d(ramp, [ROWS, 6])))).toThrow('has a size that varies');
  });

  it('records equal computations once', () => {
    const recorder = new Recorder();
    const x = recorder.feed('x', 'float32', [2, 2]);
    recorder.record(() =>
      tf.tidy(() => {
        const [a, b] = [tf.mul(tf.sin(x), 2), tf.mul(tf.sin(x), 2)];
        expect(recorder.outputOf(a)).toBe(recorder.outputOf(b));
      }),
    );
    recorder.dispose();
  });
});
