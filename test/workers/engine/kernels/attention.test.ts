import { afterEach, describe, it } from 'vitest';
import { attentionMask } from '../../../../workers/engine/model/attention.ts';
import { type AttentionOptions, attentionGradientKernel, attentionKernel } from '../../../../workers/engine/tensorflow/attention-kernels.ts';
import { type Tensor, type Tensor4D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, type TOLERANCES, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

/** With the sinks of the heads, if there are any. */
interface Given extends AttentionOptions {
  sinks: [] | [number[]];
}

/**
 * Attention also rounds its probabilities, and gradients are taken from the rounded result: on the same inputs, torch 2.11's
 * `scaled_dot_product_attention` in bf16 is 0.02 to 0.04 off its f32.
 */
const ATTENTION_TOLERANCES: typeof TOLERANCES = [
  ['f32', 1e-5],
  ['bf16', 4e-2],
];

/** The last one is longer than a strip of keys, and its queries are split into two ranges. */
const ROWS = [
  [2, 150],
  [5, 150],
  [1, 1100],
] as const;

describe.each(ROWS.flatMap(([rows, length]) => ATTENTION_TOLERANCES.map(([precision, tolerance]) => ({ rows, length, precision, tolerance }))))(
  'the attention kernel, given $rows rows of $length tokens in $precision,',
  ({ rows, length, precision, tolerance }) => {
    const [heads, kvHeads, headSize] = [4, 2, 24];
    const kvHeadOf = Array.from({ length: heads }, (_, head) => Math.floor((head * kvHeads) / heads));
    const shapes = { q: [rows, length, heads, headSize], k: [rows, length, kvHeads, headSize], v: [rows, length, kvHeads, headSize] };

    /** Textbook attention, with every score in memory. A sink is one more column of scores, which is left out again. */
    function textbookAttention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, { scale, softCap, sinks }: Given): Tensor4D {
      const perHead = (x: Tensor) => tf.transpose(x as Tensor4D, [0, 2, 1, 3]);
      const repeated = (x: Tensor) => perHead(tf.gather(x, kvHeadOf, 2));
      const products = tf.mul(tf.matMul(perHead(q), repeated(k), false, true), scale);
      const scores = softCap === null ? products : tf.mul(tf.tanh(tf.div(products, softCap)), softCap);
      const column = sinks.map((given) => tf.tile(tf.reshape(tf.tensor1d(given), [1, heads, 1, 1]), [rows, 1, length, 1]) as Tensor4D);
      const all = tf.softmax(tf.concat([tf.add(scores, mask) as Tensor4D, ...column], 3));
      return tf.transpose(tf.matMul(tf.slice(all, 0, [rows, heads, length, length]), repeated(v)), [0, 2, 1, 3]) as Tensor4D;
    }

    const texts: [string, (index: number) => number][] = [
      ['one text per row', () => 0],
      ['several texts per row, one of them longer than a block of queries', (index) => (index < 17 ? 0 : index < 100 ? 1 : index < 700 ? 2 : 3)],
    ];
    const options: [string, Given][] = [
      ['with neither window nor cap', { scale: 0.3, softCap: null, windowTokens: null, sinks: [] }],
      ['with a window', { scale: 0.3, softCap: null, windowTokens: 20, sinks: [] }],
      ['with a cap', { scale: 2, softCap: 1.5, windowTokens: null, sinks: [] }],
      // Far below every score, and far above.
      ['with sinks', { scale: 0.3, softCap: null, windowTokens: null, sinks: [[-40, 0.5, 3, 40]] }],
      ['with sinks and a window', { scale: 0.3, softCap: null, windowTokens: 20, sinks: [[2, -1, 0, 4]] }],
    ];
    it.each(texts.flatMap(([text, segmentOf]) => options.map(([name, given]) => ({ text, segmentOf, name, given }))))(
      'with $text, $name, gives the output and the gradients of textbook attention',
      ({ segmentOf, given }) => {
        const fed = Object.fromEntries([...Object.entries(shapes), ['dO', shapes.q]].map(([name, shape]) => [name, { shape: shape as number[] }]));
        const { run } = recorded(
          { ...fed, segments: { shape: [rows, length], dtype: 'int32' } },
          ({ q, k, v, segments, dO }) => {
            const inputs: [Tensor, Tensor, Tensor, Tensor] = [q!, k!, v!, segments!];
            const [O, logs] = attentionKernel([...inputs, ...given.sinks.map((sinks) => tf.tensor1d(sinks))], given);
            return [O, ...attentionGradientKernel(inputs, [O, logs, dO!], given)];
          },
          precision,
        );
        tf.tidy(() => {
          const segmentIds = Int32Array.from({ length: rows * length }, (_, index) => segmentOf(index % length));
          const starts = segmentIds.map((segment, index) => index - segmentIds.indexOf(segment));
          const segments = tf.tensor2d(segmentIds, [rows, length], 'int32');
          const positions = tf.tensor2d(
            starts.map((position) => position % length),
            [rows, length],
            'int32',
          );
          const mask = attentionMask({ positions, segments }, given.windowTokens);
          const [q, k, v, dO] = [waves(shapes.q, 1.3), waves(shapes.k, 2.1), waves(shapes.v, 0.7), waves(shapes.q, 3.7)];
          const [O, ...gradients] = run({ q, k, v, segments, dO });
          expectClose(O!, textbookAttention(q, k, v, mask, given), tolerance);
          const wanted = tf.grads((q: Tensor, k: Tensor, v: Tensor) => textbookAttention(q, k, v, mask, given))([q, k, v], dO);
          for (const [index, gradient] of gradients.entries()) expectClose(gradient, wanted[index]!, tolerance);
        });
      },
    );
  },
);
