/** For each operation of the table, tfjs code that asks for it. */
import { attentionGradientKernel, attentionKernel, cachedAttentionKernel } from '../../../../../workers/engine/tensorflow/attention-kernels.ts';
import {
  adapterRowsKernel,
  addedOuter,
  checkpoint,
  elementsAt,
  expansionGradientKernel,
  expertOuterKernel,
  expertProductsKernel,
  rollLastAxis,
  rowProductsKernel,
  statelessUniform,
  subtractAt,
} from '../../../../../workers/engine/tensorflow/native.ts';
import { dequantizeKernel } from '../../../../../workers/engine/tensorflow/quantization.ts';
import {
  cachedConvolutionKernel,
  cachedDeltaRuleKernel,
  cachedStateSpaceKernel,
  deltaRuleGradientKernel,
  deltaRuleKernel,
  stateSpaceGradientKernel,
  stateSpaceKernel,
} from '../../../../../workers/engine/tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

/** The placeholder for the number of rows, and the number that is fed. */
export const RECORDED_ROWS = 101;
export const ROWS = 7;

interface Example {
  /** @param x [rows, 6], no two elements alike. @param w [6, 5]. @param held [4, 6], in bf16 */
  body(x: Tensor2D, w: Tensor2D, held: Tensor2D): unknown;
  /** Counted by hand, for ROWS rows. */
  flops?: number;
}

const example = (body: Example['body'], flops?: number): Example => (flops === undefined ? { body } : { body, flops });
const pairs = (x: Tensor2D): Tensor3D => tf.reshape(x, [x.shape[0], 2, 3]);
/** [6], for operands that are broadcast. */
const firstRow = (x: Tensor2D): Tensor1D => tf.slice(x, [0, 0], [1, 6]).reshape([6]);
const integers = (...values: number[]): Tensor1D => tf.tensor1d(values, 'int32');
/** [out, in], of a matrix whose codes and scales are all one byte. */
const quantized = (out: number, into: number): Tensor2D =>
  dequantizeKernel(tf.fill([100], 0x01010101, 'int32'), { quantization: 'int8', out, in: into });
/** Queries, keys and values [1, tokens, 2 heads, 3], and the segments of one text. */
const attentionInputs = (x: Tensor2D): [Tensor, Tensor, Tensor, Tensor] => {
  const q = tf.reshape(x, [1, x.shape[0], 2, 3]);
  return [q, q, q, tf.fill([1, x.shape[0]], 0, 'int32')];
};
/** Queries and keys [1, tokens, 1 head, 6], values [1, tokens, 2 heads, 3], decays and β of the heads, and positions in texts of one token. */
const deltaInputs = (x: Tensor2D): [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] => {
  const q = tf.reshape(x, [1, x.shape[0], 1, 6]);
  const ofHeads = tf.reshape(tf.neg(tf.slice(x, [0, 0], [x.shape[0], 2])), [1, x.shape[0], 2]);
  return [q, q, tf.reshape(x, [1, x.shape[0], 2, 3]), ofHeads, ofHeads, tf.fill([1, x.shape[0]], 0, 'int32')];
};
/** The same number for each row. */
const ofRows = (x: Tensor2D, value: number) => tf.fill([x.shape[0]], value, 'int32') as Tensor1D;
const ATTENTION = { scale: 0.5, softCap: null, windowTokens: null };

/** By operation, tfjs code that asks for it. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  Neg: example((x) => tf.neg(x)),
  Square: example((x) => tf.square(x)),
  Sqrt: example((x) => tf.sqrt(x)),
  Rsqrt: example((x) => tf.rsqrt(x)),
  Exp: example((x) => tf.exp(x)),
  Tanh: example((x) => tf.tanh(x)),
  Sigmoid: example((x) => tf.sigmoid(x)),
  Log: example((x) => tf.log(x)),
  Erf: example((x) => tf.erf(x)),
  Softplus: example((x) => tf.softplus(x)),
  Cos: example((x) => tf.cos(x)),
  Sin: example((x) => tf.sin(x)),
  Cast: example((x) => tf.cast(tf.sub(x, 0.5), 'bool')),
  Add: example((x) => tf.add(firstRow(x), x)),
  Sub: example((x) => tf.sub(firstRow(x), x)),
  Mul: example((x) => tf.mul(tf.sum(x, 1, true), x)),
  RealDiv: example((x) => tf.div(3, x)),
  Maximum: example((x) => tf.maximum(firstRow(x), x)),
  Minimum: example((x) => tf.minimum(firstRow(x), x)),
  Pow: example((x) => tf.pow(firstRow(x), x)),
  SquaredDifference: example((x) => tf.squaredDifference(firstRow(x), x)),
  AddN: example((x) => tf.addN([x, tf.square(x), tf.sqrt(x)])),
  Less: example((x) => tf.less(firstRow(x), x)),
  LessEqual: example((x) => tf.lessEqual(firstRow(x), x)),
  Greater: example((x) => tf.greater(firstRow(x), x)),
  GreaterEqual: example((x) => tf.greaterEqual(firstRow(x), x)),
  Equal: example((x) => tf.equal(firstRow(x), x)),
  NotEqual: example((x) => tf.notEqual(firstRow(x), x)),
  LogicalAnd: example((x) => tf.logicalAnd(tf.less(firstRow(x), 0.1), tf.less(0.5, x))),
  LogicalOr: example((x) => tf.logicalOr(tf.less(firstRow(x), 0.1), tf.less(0.5, x))),
  Select: example((x) => tf.where(tf.less(x, 0.5), x, tf.square(x))),
  Sum: example((x) => tf.sum(x, 1)),
  Mean: example((x) => tf.mean(x, 1, true)),
  Max: example((x) => tf.max(x, -1)),
  Min: example((x) => tf.min(x, 1)),
  TopKV2: example((x) => Object.values(tf.topk(x, 3))),
  ArgMax: example((x) => tf.argMax(x, 1)),
  Softmax: example((x) => tf.softmax(tf.mul(x, 100))),
  Roll: example((x) => rollLastAxis(x, 2)),
  TensorScatterSub: example((x) => subtractAt(x, tf.fill([x.shape[0], 1, 2], 3, 'int32') as Tensor3D, tf.ones([x.shape[0], 1]))),
  UnsortedSegmentSum: example((x, w) => tf.unsortedSegmentSum(w, integers(0, 1, 0, 3, 2, 6), x.shape[0])),
  Identity: example((x) => checkpoint(x)),
  Reshape: example((x) => tf.reshape(x, [x.shape[0] * 2, 3])),
  SplitV: example((x) => tf.split(tf.concat([x, x], 0), [x.shape[0], x.shape[0]], 0)),
  Transpose: example((x) => tf.transpose(pairs(x), [2, 0, 1])),
  ConcatV2: example((x) => tf.concat([x, x], 1)),
  Slice: example((x) => tf.slice(x, [0, 1], [x.shape[0], 3])),
  GatherV2: example((x) => elementsAt(x, tf.fill([x.shape[0]], 4, 'int32') as Tensor1D)),
  Pack: example((x) => tf.stack([x, tf.square(x)])),
  Tile: example((x, w) => tf.tile(w, [x.shape[0], 1])),
  Fill: example((x) => tf.fill([x.shape[0], 2], 3)),
  ZerosLike: example((x) => tf.zerosLike(x)),
  StatelessRandomUniform: example((x) => statelessUniform([x.shape[0], 2], integers(1, 2))),
  BatchMatMulV2: example((x) => tf.matMul(pairs(x), pairs(x), false, true), 2 * (ROWS * 2 * 2) * 3),
  // In each of 2 heads a token sees half of the tokens on average. The forward pass has two products of 3 terms for that, the backward pass five.
  GraftAttention: example((x) => attentionKernel(attentionInputs(x), ATTENTION), 2 * 2 * (2 * ROWS * (ROWS / 2)) * 3),
  GraftAttentionGradient: example(
    (x) => {
      const inputs = attentionInputs(x);
      const [O, logs] = attentionKernel(inputs, ATTENTION);
      return attentionGradientKernel(inputs, [O, logs, tf.square(O)], ATTENTION);
    },
    5 * 2 * (2 * ROWS * (ROWS / 2)) * 3,
  ),
  GraftExpertProducts: example((x) => expertProductsKernel(x, tf.ones([2, 4, 6]), ofRows(x, 1), { transposed: true }), 2 * ROWS * 6 * 4),
  GraftExpertOuter: example((x) => expertOuterKernel(x, tf.square(x), ofRows(x, 1), { count: 2 }), 2 * ROWS * 6 * 6),
  GraftAddOuter: example((x) => addedOuter(x, tf.square(x), tf.ones([6, 6])), 2 * (6 * 6) * ROWS),
  GraftExpansionGradient: example(
    (x, w) => expansionGradientKernel(x, tf.slice(x, [0, 0], [x.shape[0], 5]), w),
    2 * (ROWS * 5) * 6 + 2 * (6 * 5) * ROWS,
  ),
  GraftRankUpdate: example((x, w) => tf.matMul(tf.slice(x, [0, 0], [x.shape[0], 5]), w, false, true), 2 * (ROWS * 6) * 5),
  GraftRankReduce: example((x) => tf.matMul(x, tf.ones([70, 6]), false, true).matMul(tf.ones([70, 2])), 2 * (ROWS * 2) * 70),
  GraftRankOuter: example((x) => tf.matMul(tf.square(x), x, true, false), 2 * (6 * 6) * ROWS),
  GraftRowProducts: example((x, w) => rowProductsKernel(x, [tf.transpose(w), tf.ones([4, 6])], { rounds: false }), 2 * ROWS * 6 * (5 + 4)),
  GraftDequantize: example((x) => tf.add(x, tf.sum(quantized(3, 6)))),
  GraftQuantizedProduct: example((x) => tf.matMul(x, quantized(3, 6), false, true), 2 * ROWS * 3 * 6),
  GraftHeldProduct: example((x, _w, held) => tf.matMul(x, held, false, true), 2 * ROWS * 4 * 6),
  GraftCachedAttention: example((x) => {
    const q = tf.reshape(x, [x.shape[0], 2, 3]);
    return cachedAttentionKernel([q, q, q, ofRows(x, 0), ofRows(x, 0)], { ...ATTENTION, layer: 0 });
  }),
  GraftDeltaRule: example((x) => deltaRuleKernel(deltaInputs(x))),
  GraftDeltaRuleGradient: example((x) => {
    const inputs = deltaInputs(x);
    return deltaRuleGradientKernel([...inputs, ...deltaRuleKernel(inputs)]);
  }),
  GraftStateSpace: example((x) => stateSpaceKernel(deltaInputs(x))),
  GraftStateSpaceGradient: example((x) => stateSpaceGradientKernel([...deltaInputs(x), deltaInputs(x)[2]])),
  GraftCachedDeltaRule: example((x) => {
    const [q, k, v, g, beta] = deltaInputs(x).map((input) => tf.reshape(input, [x.shape[0], 1, ...input.shape.slice(2)]));
    return cachedDeltaRuleKernel([q!, k!, v!, g!, beta!, ofRows(x, 0), ofRows(x, 0)], { layer: 0 });
  }),
  GraftCachedStateSpace: example((x) => {
    const [q, k, v, g, beta] = deltaInputs(x).map((input) => tf.reshape(input, [x.shape[0], 1, ...input.shape.slice(2)]));
    return cachedStateSpaceKernel([q!, k!, v!, g!, beta!, ofRows(x, 0), ofRows(x, 0)], { layer: 0 });
  }),
  GraftCachedConvolution: example((x) => cachedConvolutionKernel([x, tf.ones([6, 3]), ofRows(x, 0), ofRows(x, 0)], { layer: 0 })),
  GraftAdapterRows: example((x, w) => adapterRowsKernel(x, ofRows(x, -1), [x, tf.matMul(x, w)], 0)),
};
