/** What an operation gives, from what it is given: types and shapes, without computing. */
import { type Attribute, constantIntegers, DType, type Output, type ResultType } from './graph.ts';

type Attributes = Record<string, Attribute>;
type Rule = (inputs: Output[], attributes: Attributes, outputs: number) => ResultType[];

const same: Rule = ([x]) => [{ dtype: x!.dtype, shape: x!.shape }];
const broadcast: Rule = ([a, b]) => [{ dtype: a!.dtype, shape: broadcastShape(a!.shape, b!.shape) }];
const compared: Rule = ([a, b]) => [{ dtype: DType.bool, shape: broadcastShape(a!.shape, b!.shape) }];

const reduced: Rule = ([x, axes], { keep_dims: keep }) => {
  const gone = new Set(integers(axes).map((axis) => (axis + x!.shape.length) % x!.shape.length));
  const shape = x!.shape.flatMap((size, axis) => (!gone.has(axis) ? [size] : keep?.value === true ? [1] : []));
  return [{ dtype: x!.dtype, shape }];
};

const each = (names: readonly string[], rule: Rule) => Object.fromEntries(names.map((name) => [name, rule]));

const RULES: Readonly<Record<string, Rule>> = {
  ...each(
    ['Neg', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Tanh', 'Sigmoid', 'Erf', 'Cos', 'Sin', 'Softmax', 'ZerosLike', 'Identity', 'Roll', 'AddN'],
    same,
  ),
  ...each(['Add', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum', 'Pow', 'SquaredDifference', 'LogicalOr', 'LogicalAnd'], broadcast),
  ...each(['Less', 'LessEqual', 'Greater', 'GreaterEqual', 'Equal', 'NotEqual'], compared),
  ...each(['Sum', 'Mean', 'Max', 'Min'], reduced),
  BatchMatMulV2([a, b], { adj_x: transposeA, adj_y: transposeB }) {
    const [rows, inner] = lastTwo(a!.shape, transposeA?.value === true);
    const [inner2, columns] = lastTwo(b!.shape, transposeB?.value === true);
    if (inner !== inner2) throw new Error(`a product of [${a!.shape}] and [${b!.shape}]`);
    return [{ dtype: a!.dtype, shape: [...broadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), rows, columns] }];
  },
  Cast: ([x], { DstT }) => [{ dtype: DstT!.value as number, shape: x!.shape }],
  Reshape([x, shape]) {
    const wanted = integers(shape);
    const known = wanted.reduce((product, size) => (size === -1 ? product : product * size), 1);
    return [{ dtype: x!.dtype, shape: wanted.map((size) => (size === -1 ? sizeOf(x!.shape) / known : size)) }];
  },
  Transpose: ([x, order]) => [{ dtype: x!.dtype, shape: integers(order).map((axis) => x!.shape[axis]!) }],
  ConcatV2(inputs) {
    const parts = inputs.slice(0, -1);
    const first = parts[0]!;
    const axis = (integers(inputs.at(-1))[0]! + first.shape.length) % first.shape.length;
    const total = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return [{ dtype: first.dtype, shape: first.shape.map((size, index) => (index === axis ? total : size)) }];
  },
  Pack: (inputs) => [{ dtype: inputs[0]!.dtype, shape: [inputs.length, ...inputs[0]!.shape] }],
  SplitV([x, sizes, axis], _, outputs) {
    // Of parts whose sizes are fed each stands as the whole: nothing but their sum will be named.
    if (constantIntegers(sizes!) === null) return Array.from({ length: outputs }, () => ({ dtype: x!.dtype, shape: x!.shape }));
    const along = (integers(axis)[0]! + x!.shape.length) % x!.shape.length;
    return integers(sizes).map((part) => ({ dtype: x!.dtype, shape: x!.shape.map((size, index) => (index === along ? part : size)) }));
  },
  Slice: ([x, begin, size]) => [
    { dtype: x!.dtype, shape: integers(size).map((count, axis) => (count === -1 ? x!.shape[axis]! - integers(begin)[axis]! : count)) },
  ],
  GatherV2([table, indices, axis], { batch_dims: batch }) {
    const along = integers(axis)[0]!;
    const own = indices!.shape.slice(batch?.kind === 'int' ? batch.value : 0);
    return [{ dtype: table!.dtype, shape: [...table!.shape.slice(0, along), ...own, ...table!.shape.slice(along + 1)] }];
  },
  UnsortedSegmentSum: ([x, ids, count]) => [{ dtype: x!.dtype, shape: [integers(count)[0]!, ...x!.shape.slice(ids!.shape.length)] }],
  ArgMax: ([x, axis]) => [{ dtype: DType.int32, shape: x!.shape.filter((_, index) => index !== integers(axis)[0]!) }],
  Select: ([, a]) => [{ dtype: a!.dtype, shape: a!.shape }],
  Fill: ([shape, value]) => [{ dtype: value!.dtype, shape: integers(shape) }],
  Tile: ([x, times]) => [{ dtype: x!.dtype, shape: x!.shape.map((size, axis) => size * integers(times)[axis]!) }],
  GraftAttention: ([q]) => [q!, { dtype: DType.float32, shape: [q!.shape[0]!, q!.shape[2]!, q!.shape[1]!] }],
  GraftAttentionGradient: ([q, k, v]) => [q!, k!, v!],
  GraftExpansionGradient: ([, h, b]) => [h!, b!].map(({ shape }) => ({ dtype: DType.float32, shape })),
  StatelessRandomUniform: ([shape]) => [{ dtype: DType.float32, shape: integers(shape) }],
};

/** @throws Error naming an operation that has no rule here */
export function inferResults(op: string, inputs: Output[], attributes: Attributes, outputs: number): ResultType[] {
  const rule = RULES[op];
  if (rule === undefined) throw new Error(`the operation ${op} cannot be recorded: shape-inference.ts does not know it`);
  return rule(inputs, attributes, outputs);
}

/** NumPy's rule. */
function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const [x, y] = [a[a.length - rank + index] ?? 1, b[b.length - rank + index] ?? 1];
    if (x !== y && x !== 1 && y !== 1) throw new Error(`[${a}] and [${b}] cannot be broadcast`);
    return x === 1 ? y : x;
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function lastTwo(shape: readonly number[], transposed: boolean): [number, number] {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

/** An operand that says how: a shape, axes, an order. */
function integers(output: Output | undefined): number[] {
  const values = output && constantIntegers(output);
  if (!values) throw new Error('an operand that shapes the result is not a constant');
  return values;
}
