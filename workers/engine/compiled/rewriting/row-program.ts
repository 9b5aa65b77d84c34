/** A cluster of operations as the program of one GraftFusedRows, the language of which is in kernels/row-program.h. */
import { type Attribute, constantIntegers, DType, type GraphNode, type Output } from '../recording/graph.ts';

/** TensorFlow's names of what a program can do element by element. */
const ELEMENTWISE: Readonly<Record<string, string>> = {
  ...{ Neg: 'neg', Square: 'square', Sqrt: 'sqrt', Rsqrt: 'rsqrt', Exp: 'exp', Tanh: 'tanh', Sigmoid: 'sigmoid' },
  ...{ Add: 'add', Sub: 'sub', Mul: 'mul', RealDiv: 'div', Maximum: 'maximum', Minimum: 'minimum' },
  ...{ Less: 'less', LessEqual: 'less_equal', Greater: 'greater', GreaterEqual: 'greater_equal', Equal: 'equal', NotEqual: 'not_equal' },
  ...{ Select: 'select' },
};
const REDUCTIONS: Readonly<Record<string, string>> = { Sum: 'sum', Mean: 'mean', Max: 'max', Min: 'min' };
const FLOATS: ReadonlySet<number> = new Set([DType.float32, DType.bfloat16]);
const CASTS: ReadonlySet<number> = new Set([DType.float32, DType.bfloat16, DType.bool]);

/** What is computed with one number a row has this shape. */
export const rowShape = (shape: readonly number[]): number[] => [...shape.slice(0, -1), 1];
const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((size, axis) => size === b[axis]);

/** @returns the shape of the rows that the node is computed over; null when a program cannot compute it */
export function spaceOf(node: GraphNode): readonly number[] | null {
  const [x, operand] = node.inputs;
  const [result] = node.outputs;
  if (x === undefined || result === undefined || result.shape.length === 0) return null;
  switch (node.op) {
    case 'Sum':
    case 'Mean':
    case 'Max':
    case 'Min':
    case 'ArgMax':
      return FLOATS.has(x.dtype) && isLastAxis(operand, x) ? x.shape : null;
    case 'Softmax':
      return x.shape;
    case 'Roll': {
      const axes = constantIntegers(node.inputs[2]!);
      return FLOATS.has(x.dtype) && constantIntegers(operand!)?.length === 1 && axes?.length === 1 && axes[0] === x.shape.length - 1 ? x.shape : null;
    }
    case 'GatherV2':
      return picksElements(node) ? x.shape : null;
    case 'Cast':
      return CASTS.has(x.dtype) && CASTS.has(result.dtype) ? x.shape : null;
    case 'AddN':
      return FLOATS.has(x.dtype) ? x.shape : null;
    default: {
      if (ELEMENTWISE[node.op] === undefined) return null;
      const chooses = node.op === 'Select';
      if (chooses && !node.inputs.every(({ shape }) => sameShape(shape, result.shape))) return null;
      return node.inputs.every(({ dtype }, index) => FLOATS.has(dtype) || (chooses && index === 0)) ? result.shape : null;
    }
  }
}

function isLastAxis(axes: Output | undefined, { shape }: Output): boolean {
  const values = axes && constantIntegers(axes);
  return values?.length === 1 && (values[0]! + shape.length) % shape.length === shape.length - 1;
}

/** One element of each row, by an index a row. */
function picksElements({ inputs, outputs, attributes }: GraphNode): boolean {
  const [x, indices, axis] = inputs as [Output, Output, Output];
  const last = x.shape.length - 1;
  const batch = attributes.get('batch_dims')?.value;
  return (
    last === 1 && batch === 1 && constantIntegers(axis)?.[0] === 1 && indices.shape.length === 2 && indices.shape[1] === 1 && outputs.length === 1
  );
}

export interface WrittenProgram {
  text: string;
  inputs: Output[];
}

/**
 * @param members each after those of them that it reads
 * @param results what is read from outside
 * @param space   the rows' shape
 */
export function writeProgram(members: readonly GraphNode[], results: readonly Output[], space: readonly number[]): WrittenProgram {
  const inside = new Set(members);
  const inputs = [
    ...new Set(members.flatMap((member) => tensorsOf(member).filter((input) => !inside.has(input.node) && scalarConstant(input) === null))),
  ];
  const isFull = ({ shape }: Output): boolean => shape.length > 0 && shape.at(-1) !== 1;
  const words = inputs.map((input) => `in ${isFull(input) ? 'full' : 'row'}`);
  const values = new Map<Output, string>(inputs.map((input, index) => [input, `v${index}`]));
  const known = new Map<string, string>(); // what the backward half computes again may be computed here already
  const emit = (...instruction: string[]): string => {
    const written = instruction.join(' ');
    const value = known.get(written) ?? `v${inputs.length + known.size}`;
    if (!known.has(written)) words.push(written);
    known.set(written, value);
    return value;
  };
  const operandOf = (output: Output): string => values.get(output) ?? `c${scalarConstant(output)}`;
  const readInside = new Set(members.flatMap((member) => member.inputs));
  for (const node of members) {
    const [result] = node.outputs;
    // A result in bf16 is rounded where it is stored: only what reads it here must see it rounded too.
    const rounded = node.op === 'Cast' && result!.dtype === DType.bfloat16 && readInside.has(result!);
    values.set(result!, rounded ? emit('round_bf16', operandOf(node.inputs[0]!)) : instructionsOf(node, operandOf, emit));
  }
  const form = ({ shape }: Output): string => (sameShape(shape, space) ? 'full' : shape.length === space.length ? 'keep' : 'drop');
  for (const result of results) words.push(`out ${form(result)} ${values.get(result)}`);
  return { text: words.join(' '), inputs };
}

/** The operands that are tensors of the rows; the others say how. */
function tensorsOf({ op, inputs }: GraphNode): Output[] {
  if (op === 'Sum' || op === 'Mean' || op === 'Max' || op === 'Min' || op === 'ArgMax' || op === 'Roll') return inputs.slice(0, 1);
  return op === 'GatherV2' ? inputs.slice(0, 2) : inputs;
}

function instructionsOf(node: GraphNode, operandOf: (output: Output) => string, emit: (...instruction: string[]) => string): string {
  const [x, ...others] = tensorsOf(node).map(operandOf) as [string, ...string[]];
  const { op, inputs, outputs } = node;
  switch (op) {
    case 'Softmax': {
      const exponentials = emit('exp', emit('sub', x, emit('max', x)));
      return emit('mul', exponentials, emit('div', 'c1', emit('sum', exponentials)));
    }
    case 'Roll':
      return emit('roll', x, `c${constantIntegers(inputs[1]!)![0]}`);
    case 'ArgMax':
      return emit('argmax', x);
    case 'GatherV2':
      return emit('pick', x, others[0]!);
    case 'Cast':
      return outputs[0]!.dtype === DType.bool ? emit('not_equal', x, 'c0') : x;
    case 'AddN':
      return others.reduce((sum, other) => emit('add', sum, other), x);
    default:
      return emit(REDUCTIONS[op] ?? ELEMENTWISE[op]!, x, ...others);
  }
}

/** The number of an f32 constant without axes. */
function scalarConstant({ node, shape, dtype }: Output): number | null {
  const value: Attribute | undefined = node.attributes.get('value');
  if (node.op !== 'Const' || value?.kind !== 'tensor' || shape.length > 0 || dtype !== DType.float32) return null;
  const { bytes } = value.value;
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
}
