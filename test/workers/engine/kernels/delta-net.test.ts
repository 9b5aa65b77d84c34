import { afterEach, describe, expect, it } from 'vitest';
import { causalConvolution } from '../../../../workers/engine/model/causal-convolution.ts';
import { type DeltaRuleInputs, deltaRule } from '../../../../workers/engine/model/delta-rule.ts';
import {
  cachedConvolutionKernel,
  cachedDeltaRuleKernel,
  deltaRuleGradientKernel,
  deltaRuleKernel,
} from '../../../../workers/engine/tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

/** More tokens than the gradient holds states of at once, and values that do not fill whole blocks. */
const [ROWS, LENGTH, KEY_HEADS, VALUE_HEADS, KEY_SIZE, VALUE_SIZE] = [2, 150, 2, 4, 12, 40];
const keys = [ROWS, LENGTH, KEY_HEADS, KEY_SIZE];
const values = [ROWS, LENGTH, VALUE_HEADS, VALUE_SIZE];
const heads = [ROWS, LENGTH, VALUE_HEADS];
const SHAPES = { q: keys, k: keys, v: values, g: heads, beta: heads, dO: values };
const positionsOf = (starts: readonly number[]): Tensor2D =>
  tf.tensor2d(
    Int32Array.from({ length: ROWS * LENGTH }, (_, index) => {
      const place = index % LENGTH;
      return place - starts.findLast((start) => start <= place)!;
    }),
    [ROWS, LENGTH],
    'int32',
  );

/** Keys of length 1, decays up to e⁻¹, and β between 0 and 1. */
function inputs(): Record<keyof typeof SHAPES, Tensor> {
  const unit = (x: Tensor) => tf.div(x, tf.sqrt(tf.sum(tf.square(x), 3, true)));
  return {
    q: unit(waves(keys, 1.3)),
    k: unit(waves(keys, 2.1)),
    v: waves(values, 0.7),
    g: tf.sub(tf.mul(waves(heads, 1.9), 0.5), 0.5),
    beta: tf.add(tf.mul(waves(heads, 0.3), 0.4), 0.5),
    dO: waves(values, 3.7),
  };
}

describe('the delta rule kernel', () => {
  it.each([
    ['one text per row', [0]],
    ['several texts per row', [0, 1, 70, 140]],
  ])('with %s › gives the results and the gradients of the rule token by token', (_, starts) => {
    const fed = Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, { shape }]));
    const { run } = recorded({ ...fed, positions: { shape: [ROWS, LENGTH], dtype: 'int32' } }, ({ q, k, v, g, beta, positions, dO }) => {
      const [o, errors] = deltaRuleKernel([q!, k!, v!, g!, beta!, positions!]);
      return [o, ...deltaRuleGradientKernel([q!, k!, v!, g!, beta!, positions!, errors, dO!])];
    });
    tf.tidy(() => {
      const positions = positionsOf(starts);
      const { dO, ...given } = inputs();
      const [o, ...gradients] = run({ ...given, dO, positions });
      const plain = (...tensors: Tensor[]) => {
        const [q, k, v, g, beta] = tensors;
        return deltaRule({ q, k, v, g, beta } as unknown as DeltaRuleInputs, positions);
      };
      const order = [given.q, given.k, given.v, given.g, given.beta];
      expectClose(o!, plain(...order));
      for (const [index, wanted] of tf.grads(plain)(order, dO).entries()) expectClose(gradients[index]!, wanted);
    });
  });

  it('whose inputs do not fit together › is refused', () => {
    const shapes = {
      q: { shape: keys },
      v: { shape: values },
      g: { shape: [ROWS, LENGTH, 3] },
      positions: { shape: [ROWS, LENGTH], dtype: 'int32' as const },
    };
    const { run } = recorded(shapes, ({ q, v, g, positions }) => deltaRuleKernel([q!, q!, v!, g!, g!, positions!]));
    const { q, v, dO, ...others } = inputs();
    tf.dispose([dO, others]);
    expect(() => run({ q, v, g: tf.zeros([ROWS, LENGTH, 3]), positions: positionsOf([0]) })).toThrow(/the shapes of q, k, v, g and b do not match/);
  });
});

describe('a delta net whose states are in the session', () => {
  const [CHANNELS, SIZE] = [21, 4];

  /** Two texts, cut into pieces; those of both come one after the other in one run. */
  it('reads texts in pieces › gives what it gives when it reads each as a whole, to the bit', () => {
    const ofTokens = (name: keyof typeof SHAPES): number[] => [-1, 1, ...SHAPES[name].slice(2)];
    const shapes = {
      x: [-1, CHANNELS],
      w: [CHANNELS, SIZE],
      ...Object.fromEntries((['q', 'k', 'v', 'g', 'beta'] as const).map((name) => [name, ofTokens(name)])),
    };
    const fed = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape: shape.map((size) => (size === -1 ? 211 : size)) }]));
    const places = { slots: { shape: [211], dtype: 'int32' as const }, positions: { shape: [211], dtype: 'int32' as const } };
    const { run } = recorded({ ...fed, ...places }, ({ x, w, q, k, v, g, beta, slots, positions }) => [
      cachedConvolutionKernel([x!, w!, slots!, positions!], { layer: 0 }),
      cachedDeltaRuleKernel([q!, k!, v!, g!, beta!, slots!, positions!], { layer: 0 }),
    ]);
    tf.tidy(() => {
      const { dO: _, ...given } = inputs();
      const x = waves([ROWS, LENGTH, CHANNELS], 1.7);
      const w = waves([CHANNELS, SIZE], 0.9) as Tensor2D;
      /** @param parts of each text, from and to a token */
      const pass = (parts: readonly { text: number; from: number; to: number; slot: number }[]) => {
        const piece = (tensor: Tensor): Tensor =>
          tf.concat(
            parts.map(({ text, from, to }) => {
              const [, , ...rest] = tensor.shape;
              const cut = tf.slice(tensor, [text, from, ...rest.map(() => 0)], [1, to - from, ...rest]);
              return tf.reshape(cut, [to - from, ...(tensor === x ? [] : [1]), ...rest]);
            }),
          );
        const ids = (of: (part: (typeof parts)[number], token: number) => number) =>
          tf.tensor1d(
            parts.flatMap((part) => Array.from({ length: part.to - part.from }, (_, token) => of(part, part.from + token))),
            'int32',
          );
        const cut = Object.fromEntries(Object.entries({ x, ...given }).map(([name, tensor]) => [name, piece(tensor)]));
        const [y, o] = run({ ...cut, w, slots: ids(({ slot }) => slot), positions: ids((_, token) => token) });
        return [y!, o!].map((result) => result.dataSync<'float32'>());
      };
      const whole = [0, 1].map((text) => pass([{ text, from: 0, to: LENGTH, slot: text }]));
      const cuts = [0, 1, 4, 5, 80, LENGTH];
      const pieces = cuts.slice(1).map((to, index) => {
        const results = pass([1, 0].map((text) => ({ text, from: cuts[index]!, to, slot: 7 + text })));
        return results.map((result) => [result.subarray(result.length / 2), result.subarray(0, result.length / 2)]);
      });
      for (const [text, wanted] of whole.entries())
        for (const [index, result] of wanted.entries())
          expect(Float32Array.from(pieces.flatMap((piece) => [...piece[index]![text]!]))).toEqual(result);

      const positions = positionsOf([0]);
      const rule = deltaRule(given as unknown as DeltaRuleInputs, positions);
      expectClose(tf.tensor(Float32Array.from(whole.flatMap(([, o]) => [...o!])), values), rule);
      const grid = { positions } as unknown as Parameters<typeof causalConvolution>[2]['grid'];
      const convolved = causalConvolution(tf.reshape(x, [ROWS * LENGTH, CHANNELS]), w, { grid, layer: 0 });
      const sums = tf.tensor2d(Float32Array.from(whole.flatMap(([y]) => [...y!])), [ROWS * LENGTH, CHANNELS]);
      expectClose(sums, convolved);
    });
  });
});
