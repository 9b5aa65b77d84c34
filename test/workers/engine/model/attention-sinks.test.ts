import { afterEach, describe, it } from 'vitest';
import { type AttentionPass, attend, type Heads } from '../../../../workers/engine/model/attend.ts';
import { attentionMask } from '../../../../workers/engine/model/attention.ts';
import { cachedAttentionKernel } from '../../../../workers/engine/tensorflow/attention-kernels.ts';
import { gradientsFlowInto } from '../../../../workers/engine/tensorflow/differentiable.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, waves } from '../kernels/recorded-kernels.ts';

afterEach(disposeSession);

const [heads, kvHeads, headSize, scale] = [4, 2, 8, 1];
const SINKS = [-3, 0.5, 2, 6];
const rows = 2;
const [Q, K] = [heads * headSize, kvHeads * headSize];

/** As transformers reads gpt-oss: the sink is a column beside the scores, and what it gets of the softmax is dropped. */
function textbook(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, windowTokens: number | null): Tensor2D {
  const length = q.shape[0]! / rows;
  const ofHeads = (x: Tensor, count: number): Tensor4D => tf.transpose(tf.reshape(x, [rows, length, count, headSize]) as Tensor4D, [0, 2, 1, 3]);
  const repeated = (x: Tensor): Tensor4D => tf.gather(ofHeads(x, kvHeads), [0, 0, 1, 1], 1);
  const scores = tf.add(tf.mul(tf.matMul(ofHeads(q, heads), repeated(k), false, true), scale), attentionMask(placesOf(length), windowTokens));
  const column = tf.tile(tf.reshape(sinks, [1, heads, 1, 1]), [rows, 1, length, 1]);
  const P = tf.slice(tf.softmax(tf.concat([scores as Tensor4D, column as Tensor4D], 3)), 0, [rows, heads, length, length]);
  return tf.reshape(tf.transpose(tf.matMul(P, repeated(v)), [0, 2, 1, 3]), [rows * length, Q]);
}

const placesOf = (length: number) => ({
  positions: tf.tensor2d(
    Array.from({ length: rows * length }, (_, index) => index % length),
    [rows, length],
    'int32',
  ),
  segments: tf.zeros([rows, length], 'int32') as Tensor2D,
});

const inputsOf = (length: number) => ({
  q: waves([rows * length, Q], 1.3),
  k: waves([rows * length, K], 2.1),
  v: waves([rows * length, K], 0.7),
  sinks: tf.tensor1d(SINKS),
  dO: waves([rows * length, Q], 3.7),
});

/** The result, and the gradients of q, k, v and the sinks. */
function attendedWith({ q, k, v, sinks, dO }: Record<string, Tensor>, pass: AttentionPass): Tensor[] {
  const sizes = (sinks: Tensor): Heads => ({ heads, kvHeads, headSize, scale, softCap: null, sinks: gradientsFlowInto(sinks as Tensor1D) });
  const computed = (q: Tensor, k: Tensor, v: Tensor, sinks: Tensor) =>
    attend({ q: q as Tensor2D, k: k as Tensor2D, v: v as Tensor2D }, sizes(sinks), pass);
  return [computed(q!, k!, v!, sinks!), ...tf.grads(computed)([q!, k!, v!, sinks!], dO)];
}

function expectTextbook(got: Tensor[], { q, k, v, sinks, dO }: ReturnType<typeof inputsOf>, windowTokens: number | null): void {
  const of = (q: Tensor, k: Tensor, v: Tensor, sinks: Tensor) => textbook(q, k, v, sinks, windowTokens);
  for (const [index, wanted] of [of(q, k, v, sinks), ...tf.grads(of)([q, k, v, sinks], dO)].entries()) expectClose(got[index]!, wanted);
}

const ofPass = (windowTokens: number | null, length: number, places: ReturnType<typeof placesOf>): AttentionPass => ({
  ...{ rows, length, rotary: null, slots: null, virtual: null, windowTokens },
  ...{ ...places, mask: attentionMask(places, windowTokens) },
});

describe.each([null, 5])('attention with trained sinks and a window of %s', (windowTokens) => {
  it('computed operation by operation has the result and the gradients of a column beside the scores', () => {
    tf.tidy(() => {
      const inputs = inputsOf(23);
      expectTextbook(attendedWith(inputs, ofPass(windowTokens, 23, placesOf(23))), inputs, windowTokens);
    });
  });

  it('computed by its kernels has the result and the gradients of a column beside the scores', () => {
    const shapes = { q: [rows * TOKENS, Q], k: [rows * TOKENS, K], v: [rows * TOKENS, K], sinks: [heads], dO: [rows * TOKENS, Q] };
    const places = { positions: { shape: [rows, TOKENS], dtype: 'int32' as const }, segments: { shape: [rows, TOKENS], dtype: 'int32' as const } };
    const feeds = { ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape }])), ...places };
    const { run } = recorded(feeds, ({ positions, segments, ...given }) =>
      attendedWith(given, ofPass(windowTokens, TOKENS, { positions: positions as Tensor2D, segments: segments as Tensor2D })),
    );
    tf.tidy(() => {
      const length = 70;
      const inputs = inputsOf(length);
      expectTextbook(run({ ...inputs, ...placesOf(length), tokens: tf.scalar(length, 'int32') }), inputs, windowTokens);
    });
  });
});

describe('attention to a cache', () => {
  it.each([null, 5])('with sinks and a window of %s gives every token what a column beside the scores gives it', (windowTokens) => {
    const [length, texts] = [70, rows];
    const shapes = { q: [TOKENS, heads, headSize], k: [TOKENS, kvHeads, headSize], v: [TOKENS, kvHeads, headSize] };
    const places = { slots: { shape: [TOKENS], dtype: 'int32' as const }, positions: { shape: [TOKENS], dtype: 'int32' as const } };
    const { run } = recorded({ ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape }])), ...places }, (given) => [
      cachedAttentionKernel([given.q!, given.k!, given.v!, given.slots!, given.positions!, tf.tensor1d(SINKS)], {
        scale,
        softCap: null,
        windowTokens,
        layer: 0,
      }),
    ]);
    tf.tidy(() => {
      const { q, k, v, sinks } = inputsOf(length);
      const wanted = tf.reshape(textbook(q, k, v, sinks, windowTokens), [texts, length, Q]);
      const part = (x: Tensor, count: number, first: number, tokens: number): Tensor =>
        tf.reshape(tf.slice(tf.reshape(x, [texts, length, count * headSize]), [0, first, 0], [texts, tokens, count * headSize]), [
          -1,
          count,
          headSize,
        ]);
      // First many tokens of each text at once, then one of each.
      for (const [first, tokens] of [
        [0, 67],
        [67, 1],
        [68, 1],
      ] as const) {
        const given = { q: part(q, heads, first, tokens), k: part(k, kvHeads, first, tokens), v: part(v, kvHeads, first, tokens) };
        const ids = Array.from({ length: texts * tokens }, (_, index) => index);
        const slots = tf.tensor1d(
          ids.map((id) => Math.floor(id / tokens)),
          'int32',
        );
        const positions = tf.tensor1d(
          ids.map((id) => first + (id % tokens)),
          'int32',
        );
        const [O] = run({ ...given, slots, positions });
        expectClose(tf.reshape(O!, [texts, tokens, Q]), tf.slice(wanted, [0, first, 0], [texts, tokens, Q]));
      }
    });
  });
});
