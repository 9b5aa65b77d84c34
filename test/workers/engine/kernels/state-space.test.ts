import { afterEach, describe, expect, it } from 'vitest';
import { type StateSpaceInputs, stateSpace } from '../../../../workers/engine/model/state-space.ts';
import { cachedStateSpaceKernel, stateSpaceGradientKernel, stateSpaceKernel } from '../../../../workers/engine/tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

const ROWS = 2;
interface Sizes {
  length: number;
  groups: number;
  heads: number;
  stateSize: number;
  headSize: number;
}

function shapesOf({ length, groups, heads, stateSize, headSize }: Sizes) {
  const [ofGroups, ofHeads] = [
    [ROWS, length, groups, stateSize],
    [ROWS, length, heads],
  ];
  const values = [...ofHeads, headSize];
  return { C: ofGroups, B: ofGroups, x: values, g: ofHeads, dt: ofHeads, dY: values };
}

/** Decays from hardly any to e⁻³, and time steps between 0.1 and 0.9. */
function inputs(sizes: Sizes): Record<'C' | 'B' | 'x' | 'g' | 'dt' | 'dY', Tensor> {
  const { C, B, x, g, dt, dY } = shapesOf(sizes);
  return {
    C: waves(C, 1.3),
    B: waves(B, 2.1),
    x: waves(x, 0.7),
    g: tf.sub(tf.mul(waves(g, 1.9), 1.5), 1.5),
    dt: tf.add(tf.mul(waves(dt, 0.3), 0.4), 0.5),
    dY: waves(dY, 3.7),
  };
}

const positionsOf = (length: number, starts: readonly number[]): Tensor2D =>
  tf.tensor2d(
    Int32Array.from({ length: ROWS * length }, (_, index) => (index % length) - starts.findLast((start) => start <= index % length)!),
    [ROWS, length],
    'int32',
  );

/** More tokens than are computed together, and sizes that fill no block. */
const SIZES: [what: string, sizes: Sizes][] = [
  ['heads that share B and C in groups', { length: 150, groups: 2, heads: 6, stateSize: 12, headSize: 40 }],
  ['many heads that all share B and C', { length: 70, groups: 1, heads: 70, stateSize: 24, headSize: 8 }],
  ['heads with their own', { length: 40, groups: 3, heads: 3, stateSize: 33, headSize: 64 }],
];

describe('the state space kernel', () => {
  it.each(
    SIZES.flatMap(([what, sizes]) => [
      [`${what} and one text per row`, sizes, [0]] as const,
      [`${what} and several texts per row`, sizes, [0, 1, 17, 33, 64, 70, 140].filter((start) => start < sizes.length)] as const,
    ]),
  )('with %s › gives the results and the gradients of the formula token by token', (_, sizes, starts) => {
    const fed = Object.fromEntries(Object.entries(shapesOf(sizes)).map(([name, shape]) => [name, { shape }]));
    const { run } = recorded({ ...fed, positions: { shape: [ROWS, sizes.length], dtype: 'int32' } }, ({ C, B, x, g, dt, positions, dY }) => {
      const given = [C!, B!, x!, g!, dt!, positions!];
      return [stateSpaceKernel(given), ...stateSpaceGradientKernel([...given, dY!])];
    });
    tf.tidy(() => {
      const positions = positionsOf(sizes.length, starts);
      const { dY, ...given } = inputs(sizes);
      const [y, ...gradients] = run({ ...given, dY, positions });
      const plain = (...tensors: Tensor[]) => {
        const [C, B, x, g, dt] = tensors;
        return stateSpace({ x, B, C, dt, g } as unknown as StateSpaceInputs, positions);
      };
      const order = [given.C, given.B, given.x, given.g, given.dt];
      expectClose(y!, plain(...order));
      for (const [index, wanted] of tf.grads(plain)(order, dY).entries()) expectClose(gradients[index]!, wanted);
    });
  });

  it('whose inputs do not fit together › is refused', () => {
    const sizes = SIZES[0]![1];
    const { x, B } = shapesOf(sizes);
    const g = [ROWS, sizes.length, 5];
    const shapes = { B: { shape: B! }, x: { shape: x! }, g: { shape: g }, positions: { shape: [ROWS, sizes.length], dtype: 'int32' as const } };
    const { run } = recorded(shapes, ({ B, x, g, positions }) => [stateSpaceKernel([B!, B!, x!, g!, g!, positions!])]);
    const feeds = { B: tf.zeros(B!), x: tf.zeros(x!), g: tf.zeros(g), positions: positionsOf(sizes.length, [0]) };
    expect(() => run(feeds)).toThrow(/the shapes of q, k, v, g and b do not match/);
    tf.dispose(feeds);
  });
});

it('a state that is in the session › reads texts in pieces as it reads each as a whole, to the bit', () => {
  const sizes = SIZES[0]![1];
  const names = ['C', 'B', 'x', 'g', 'dt'] as const;
  const shapes = shapesOf(sizes);
  const fed = Object.fromEntries(names.map((name) => [name, { shape: [211, 1, ...shapes[name].slice(2)] }]));
  const places = { slots: { shape: [211], dtype: 'int32' as const }, positions: { shape: [211], dtype: 'int32' as const } };
  const { run } = recorded({ ...fed, ...places }, ({ C, B, x, g, dt, slots, positions }) => [
    cachedStateSpaceKernel([C!, B!, x!, g!, dt!, slots!, positions!], { layer: 0 }),
  ]);
  tf.tidy(() => {
    const { dY: _, ...given } = inputs(sizes);
    /** @param from, to of the tokens of the first text */
    const pass = (from: number, to: number, slot: number): Float32Array => {
      const count = to - from;
      const cut = (tensor: Tensor): Tensor => {
        const [, , ...rest] = tensor.shape;
        return tf.reshape(tf.slice(tensor, [0, from, ...rest.map(() => 0)], [1, count, ...rest]), [count, 1, ...rest]);
      };
      const positions = tf.range(from, to, 1, 'int32');
      const fed = Object.fromEntries(names.map((name) => [name, cut(given[name])]));
      return run({ ...fed, slots: tf.fill([count], slot, 'int32'), positions })[0]!.dataSync<'float32'>();
    };
    const whole = pass(0, sizes.length, 0);
    const pieces = [0, 1, 4, 5, 80].map((from, index, cuts) => pass(from, cuts[index + 1] ?? sizes.length, 7));
    expect(Float32Array.from(pieces.flatMap((piece) => [...piece]))).toEqual(whole);
    const inputsOfKernel = { ...given } as unknown as StateSpaceInputs;
    const [first] = tf.split(stateSpace(inputsOfKernel, positionsOf(sizes.length, [0])), ROWS, 0);
    expectClose(tf.tensor(whole, [1, ...shapes.x.slice(1)]), first!);
  });
});
