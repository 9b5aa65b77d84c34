import { afterEach, describe, expect, it } from 'vitest';
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import type { GraphNode, Output } from '../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../workers/engine/compiled/recording/recorder.ts';
import { GraphSession } from '../../../../workers/engine/compiled/session/session.ts';
import { attentionMask } from '../../../../workers/engine/model/attention.ts';
import {
  type AttentionOptions,
  attentionGradientKernel,
  attentionKernel,
  expansionGradientKernel,
  rowProductsKernel,
} from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor2D, type Tensor4D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

let session: GraphSession | undefined;
afterEach(() => session?.dispose());

const TOKENS = 211;

/** Relative to the largest element. The inputs, from `waves`, are exact in bf16, which has 8 bits of precision; results are not. */
const TOLERANCES: [Precision, number][] = [
  ['f32', 1e-5],
  ['bf16', 4e-3],
];
/** Attention also rounds its probabilities: on the same inputs, torch 2.11's `scaled_dot_product_attention` in bf16 is 0.02 to 0.04 off its f32. */
const ATTENTION_TOLERANCES: typeof TOLERANCES = [
  ['f32', 1e-5],
  ['bf16', 2e-2],
];

interface Recorded {
  run(feeds: Record<string, Tensor>): Tensor[];
  /** The nodes that compute the results. */
  nodes: GraphNode[];
}

/** @param shapes of the feeds; TOKENS is the placeholder for a size that varies */
function recorded(
  shapes: Record<string, { shape: number[]; dtype?: 'float32' | 'int32' }>,
  body: (feeds: Record<string, Tensor>) => Tensor[],
  precision: Precision = 'f32',
): Recorded {
  const recorder = new Recorder(precision);
  recorder.size('tokens', TOKENS);
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, { shape, dtype = 'float32' }]) => [name, recorder.feed(name, dtype, shape)]));
  let results: Output[] = [];
  recorder.record(() =>
    tf.tidy(() => {
      results = body(feeds).map((result) => recorder.outputOf(result));
    }),
  );
  recorder.dispose();
  const { graph } = recorder;
  session = new GraphSession(graph, results);
  return { run: (given) => session!.run(given, results), nodes: results.map(({ node }) => (node.op === 'Cast' ? node.inputs[0]!.node : node)) };
}

function waves(shape: number[], frequency: number): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, index) => Math.round(Math.sin(index * frequency) * 64) / 64),
    shape,
  );
}

function expectClose(got: Tensor, wanted: Tensor, tolerance = TOLERANCES[0]![1]): void {
  expect(got.shape).toEqual(wanted.shape);
  const scale = tf.max(tf.abs(wanted)).dataSync()[0]!;
  expect(tf.max(tf.abs(tf.sub(got, wanted))).dataSync()[0]! / scale).toBeLessThan(tolerance);
}

describe.each([2, 5].flatMap((rows) => ATTENTION_TOLERANCES.map(([precision, tolerance]) => ({ rows, precision, tolerance }))))(
  'the attention kernel, given $rows rows in $precision,',
  ({ rows, precision, tolerance }) => {
    const [length, heads, kvHeads, headSize] = [150, 4, 2, 24];
    const kvHeadOf = Array.from({ length: heads }, (_, head) => Math.floor((head * kvHeads) / heads));
    const shapes = { q: [rows, length, heads, headSize], k: [rows, length, kvHeads, headSize], v: [rows, length, kvHeads, headSize] };

    /** Textbook attention, with every score in memory. */
    function textbookAttention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, { scale, softCap }: AttentionOptions): Tensor4D {
      const perHead = (x: Tensor) => tf.transpose(x as Tensor4D, [0, 2, 1, 3]);
      const repeated = (x: Tensor) => perHead(tf.gather(x, kvHeadOf, 2));
      const products = tf.mul(tf.matMul(perHead(q), repeated(k), false, true), scale);
      const scores = softCap === null ? products : tf.mul(tf.tanh(tf.div(products, softCap)), softCap);
      return tf.transpose(tf.matMul(tf.softmax(tf.add(scores, mask)), repeated(v)), [0, 2, 1, 3]) as Tensor4D;
    }

    const texts: [string, (index: number) => number][] = [
      ['one text per row', () => 0],
      ['several texts per row, one of them longer than a block of queries', (index) => (index < 17 ? 0 : index < 100 ? 1 : 2)],
    ];
    const options: [string, AttentionOptions][] = [
      ['with neither window nor cap', { scale: 0.3, softCap: null, windowTokens: null }],
      ['with a window', { scale: 0.3, softCap: null, windowTokens: 20 }],
      ['with a cap', { scale: 2, softCap: 1.5, windowTokens: null }],
    ];
    it.each(texts.flatMap(([text, segmentOf]) => options.map(([name, given]) => ({ text, segmentOf, name, given }))))(
      'with $text, $name, gives the output and the gradients of textbook attention',
      ({ segmentOf, given }) => {
        const fed = Object.fromEntries([...Object.entries(shapes), ['dO', shapes.q]].map(([name, shape]) => [name, { shape: shape as number[] }]));
        const { run } = recorded(
          { ...fed, segments: { shape: [rows, length], dtype: 'int32' } },
          ({ q, k, v, segments, dO }) => {
            const inputs: [Tensor, Tensor, Tensor, Tensor] = [q!, k!, v!, segments!];
            const [O, logs] = attentionKernel(inputs, given);
            return [O, ...attentionGradientKernel(inputs, [logs, dO!], given)];
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

describe.each(TOLERANCES)('products with a narrow matrix in %s', (precision, tolerance) => {
  const wide = 150;
  const forms: [string, string, number[], number[], (a: Tensor2D, b: Tensor2D) => Tensor][] = [
    ['x·Aᵀ', 'GraftRankReduce', [TOKENS, wide], [16, wide], (a, b) => tf.matMul(a, b, false, true)],
    ['dy·B', 'GraftRankReduce', [TOKENS, wide], [wide, 5], (a, b) => tf.matMul(a, b)],
    ['h·Bᵀ', 'GraftRankUpdate', [TOKENS, 48], [wide, 48], (a, b) => tf.matMul(a, b, false, true)],
    ['dh·A', 'GraftRankUpdate', [TOKENS, 3], [3, wide], (a, b) => tf.matMul(a, b)],
    ['dhᵀx', 'GraftRankOuter', [TOKENS, 16], [TOKENS, wide], (a, b) => tf.matMul(a, b, true, false)],
    ['dyᵀh', 'GraftRankOuter', [TOKENS, wide], [TOKENS, 7], (a, b) => tf.matMul(a, b, true, false)],
  ];
  it.each(forms)('such as %s run in %s and give the result of a plain product', (_, op, a, b, body) => {
    const { run, nodes } = recorded({ a: { shape: a }, b: { shape: b } }, ({ a, b }) => [body(a as Tensor2D, b as Tensor2D)], precision);
    expect(nodes.map((node) => node.op)).toEqual([op]);
    for (const tokens of [1, 6, 100]) {
      tf.tidy(() => {
        const actual = (shape: number[]) => shape.map((size) => (size === TOKENS ? tokens : size));
        const [x, y] = [waves(actual(a), 1.3), waves(actual(b), 2.1)] as [Tensor2D, Tensor2D];
        expectClose(run({ a: x, b: y })[0]!, body(x, y), tolerance);
      });
    }
  });

  it('include what is added to them', () => {
    const body = ({ y, h, B }: Record<string, Tensor>) => [tf.add(y!, tf.matMul(h as Tensor2D, B as Tensor2D, false, true))];
    const { run, nodes } = recorded({ y: { shape: [TOKENS, wide] }, h: { shape: [TOKENS, 16] }, B: { shape: [wide, 16] } }, body);
    expect(nodes.map(({ op, inputs }) => [op, inputs.length])).toEqual([['GraftRankUpdate', 3]]);
    tf.tidy(() => {
      const feeds = { y: waves([40, wide], 1.3), h: waves([40, 16], 2.1), B: waves([wide, 16], 0.7) };
      expectClose(run(feeds)[0]!, body(feeds)[0]!);
    });
  });

  it('of one dy, with B and with h, come from one kernel', () => {
    const { run } = recorded({ dy: { shape: [TOKENS, wide] }, h: { shape: [TOKENS, 16] }, B: { shape: [wide, 16] } }, ({ dy, h, B }) =>
      expansionGradientKernel(dy as Tensor2D, h as Tensor2D, B as Tensor2D),
    );
    for (const tokens of [1, 40, 700]) {
      tf.tidy(() => {
        const [dy, h, B] = [waves([tokens, wide], 1.3), waves([tokens, 16], 2.1), waves([wide, 16], 0.7)] as [Tensor2D, Tensor2D, Tensor2D];
        const [dh, dB] = run({ dy, h, B });
        expectClose(dh!, tf.matMul(dy, B));
        expectClose(dB!, tf.matMul(dy, h, true, false));
      });
    }
  });

  it('do not include those of two wide matrices', () => {
    const { nodes } = recorded({ a: { shape: [TOKENS, wide] }, b: { shape: [wide, wide] } }, ({ a, b }) => [tf.matMul(a as Tensor2D, b as Tensor2D)]);
    expect(nodes.map(({ op }) => op)).toEqual(['BatchMatMulV2']);
  });
});

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
