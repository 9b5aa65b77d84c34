/** Rules that infer the types and shapes of an operation's results from its inputs, without computing it. */

import { shapeSize } from '../../../../src/formats/shape-size.ts';
import { type Attribute, constantIntegers, DType, type GraphNode, type Output, type ResultType } from './graph.ts';

/** @param outputs how many results the caller asks for */
export type ShapeRule = (inputs: readonly Output[], attributes: Readonly<Record<string, Attribute>>, outputs: number) => ResultType[];

export const same: ShapeRule = ([x]) => [{ dtype: x!.dtype, shape: x!.shape }];
export const broadcast: ShapeRule = ([a, b]) => [{ dtype: a!.dtype, shape: broadcastShape(a!.shape, b!.shape) }];
export const compared: ShapeRule = ([a, b]) => [{ dtype: DType.bool, shape: broadcastShape(a!.shape, b!.shape) }];

/** Along the axes that the second input names. */
export const reduced: ShapeRule = ([x, axes], { keep_dims: keep }) => {
  const gone = new Set(integers(axes).map((axis) => (axis + x!.shape.length) % x!.shape.length));
  const shape = x!.shape.flatMap((size, axis) => (!gone.has(axis) ? [size] : keep?.value === true ? [1] : []));
  return [{ dtype: x!.dtype, shape }];
};

export const argMax: ShapeRule = ([x, axis]) => [{ dtype: DType.int32, shape: x!.shape.filter((_, index) => index !== integers(axis)[0]!) }];

export const product: ShapeRule = ([a, b], { adj_x: transposeA, adj_y: transposeB }) => {
  const [rows, inner] = lastTwo(a!.shape, transposeA?.value === true);
  const [inner2, columns] = lastTwo(b!.shape, transposeB?.value === true);
  if (inner !== inner2) throw new Error(`[${a!.shape}] and [${b!.shape}] cannot be multiplied`);
  return [{ dtype: a!.dtype, shape: [...broadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), rows, columns] }];
};

/** How many products are summed for each element of a product of matrices. */
export const innerSize = ({ inputs: [a], attributes }: GraphNode): number => lastTwo(a!.shape, attributes.get('adj_x')?.value === true)[1];

export const cast: ShapeRule = ([x], { DstT }) => [{ dtype: DstT!.value as number, shape: x!.shape }];

export const chosen: ShapeRule = ([, a]) => [{ dtype: a!.dtype, shape: a!.shape }];

export const reshaped: ShapeRule = ([x, shape]) => {
  const wanted = integers(shape);
  const known = wanted.reduce((product, size) => (size === -1 ? product : product * size), 1);
  return [{ dtype: x!.dtype, shape: wanted.map((size) => (size === -1 ? shapeSize(x!.shape) / known : size)) }];
};

export const transposed: ShapeRule = ([x, order]) => [{ dtype: x!.dtype, shape: integers(order).map((axis) => x!.shape[axis]!) }];

export const concatenated: ShapeRule = (inputs) => {
  const parts = inputs.slice(0, -1);
  const first = parts[0]!;
  const axis = (integers(inputs.at(-1))[0]! + first.shape.length) % first.shape.length;
  const total = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  return [{ dtype: first.dtype, shape: first.shape.map((size, index) => (index === axis ? total : size)) }];
};

export const packed: ShapeRule = (inputs) => [{ dtype: inputs[0]!.dtype, shape: [inputs.length, ...inputs[0]!.shape] }];

export const split: ShapeRule = ([x, sizes, axis], _, outputs) => {
  // Where the sizes are fed, each part takes the shape of the whole as a placeholder: later shapes depend on the parts' sum alone.
  if (constantIntegers(sizes!) === null) return Array.from({ length: outputs }, () => ({ dtype: x!.dtype, shape: x!.shape }));
  const along = (integers(axis)[0]! + x!.shape.length) % x!.shape.length;
  return integers(sizes).map((part) => ({ dtype: x!.dtype, shape: x!.shape.map((size, index) => (index === along ? part : size)) }));
};

export const sliced: ShapeRule = ([x, begin, size]) => [
  { dtype: x!.dtype, shape: integers(size).map((count, axis) => (count === -1 ? x!.shape[axis]! - integers(begin)[axis]! : count)) },
];

export const gathered: ShapeRule = ([table, indices, axis], { batch_dims: batch }) => {
  const along = integers(axis)[0]!;
  const own = indices!.shape.slice(batch?.kind === 'int' ? batch.value : 0);
  return [{ dtype: table!.dtype, shape: [...table!.shape.slice(0, along), ...own, ...table!.shape.slice(along + 1)] }];
};

export const summedBySegment: ShapeRule = ([x, ids, count]) => [
  { dtype: x!.dtype, shape: [integers(count)[0]!, ...x!.shape.slice(ids!.shape.length)] },
];

export const filled: ShapeRule = ([shape, value]) => [{ dtype: value!.dtype, shape: integers(shape) }];

export const tiled: ShapeRule = ([x, times]) => [{ dtype: x!.dtype, shape: x!.shape.map((size, axis) => size * integers(times)[axis]!) }];

export const random: ShapeRule = ([shape]) => [{ dtype: DType.float32, shape: integers(shape) }];

export const attention: ShapeRule = ([q]) => [q!, { dtype: DType.float32, shape: [q!.shape[0]!, q!.shape[2]!, q!.shape[1]!] }];

export const attentionGradient: ShapeRule = ([q, k, v]) => [q!, k!, v!];

/** The result, and the errors that it learned from, both like v. */
export const deltaRule: ShapeRule = ([, , v]) => [v!, v!].map(({ dtype, shape }) => ({ dtype, shape }));

export const deltaRuleGradient: ShapeRule = (inputs) => inputs.slice(0, 5).map(({ dtype, shape }) => ({ dtype, shape }));

export const likeThird: ShapeRule = ([, , x]) => [{ dtype: x!.dtype, shape: x!.shape }];

export const expansionGradient: ShapeRule = ([, h, b]) => [h!, b!].map(({ shape }) => ({ dtype: DType.float32, shape }));

/** A row for each choice. */
export const expertProducts: ShapeRule = ([x, w, experts], { transposed }) => [
  { dtype: x!.dtype, shape: [experts!.shape[0]!, w!.shape[transposed!.value === true ? 1 : 2]!] },
];

export const expertOuter: ShapeRule = ([a, b], { count }) => [{ dtype: DType.float32, shape: [count!.value as number, a!.shape[1]!, b!.shape[1]!] }];

/** [p, q] of [tokens, p] and [tokens, q]. */
export const addedOuter: ShapeRule = ([a, b]) => [{ dtype: DType.float32, shape: [a!.shape[1]!, b!.shape[1]!] }];

/** The largest of each row, and where they are. */
export const largest: ShapeRule = ([x, count]) =>
  [x!.dtype, DType.int32].map((dtype) => ({ dtype, shape: [...x!.shape.slice(0, -1), integers(count)[0]!] }));

/** Products of the first input with each of the others, which are transposed. */
export const rowProducts: ShapeRule = ([x, ...matrices]) => matrices.map((w) => ({ dtype: DType.float32, shape: [x!.shape[0]!, w.shape[0]!] }));

export const adapterRows: ShapeRule = ([, , ...ys]) => ys.map(({ dtype, shape }) => ({ dtype, shape }));

/** The matrix [rows, columns] that the attributes name, or its transpose. */
export const dequantized: ShapeRule = (_, { rows, columns, transposed }) => {
  const shape = [rows!.value as number, columns!.value as number];
  return [{ dtype: DType.float32, shape: transposed!.value === true ? shape.toReversed() : shape }];
};

/** NumPy's rule. */
function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const [x, y] = [a[a.length - rank + index] ?? 1, b[b.length - rank + index] ?? 1];
    if (x !== y && x !== 1 && y !== 1) throw new Error(`[${a}] and [${b}] cannot be broadcast`);
    return x === 1 ? y : x;
  });
}

function lastTwo(shape: readonly number[], transposed: boolean): [number, number] {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

/** The content of an operand that is a parameter: a shape, axes, an order. */
function integers(output: Output | undefined): number[] {
  const values = output && constantIntegers(output);
  if (!values) throw new Error('the shape of the result depends on an operand that is not a constant');
  return values;
}
