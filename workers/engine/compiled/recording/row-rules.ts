/** How a program that goes over rows (kernels/row-program.h) computes an operation. */
import { constantIntegers, DType, type GraphNode, type Output } from './graph.ts';

export interface RowRule {
  /** @returns the shape of the rows that the node is computed over; null when a program cannot compute it */
  space(node: GraphNode): readonly number[] | null;
  /** How many of its inputs, from the first, are rows; the others are parameters. Without it all are rows. */
  operands?: number;
  /** @param operands a value for each input that is rows. @returns the value of the result */
  write(node: GraphNode, operands: readonly string[], program: ProgramWriter): string;
  /** Worth a program even without others to fuse it with: TensorFlow's own kernel goes over the memory several times, or element by element. */
  worthItAlone?: boolean;
}

export interface ProgramWriter {
  /** Adds an instruction, or finds the same one. @returns its value */
  emit(...instruction: string[]): string;
  /** Whether another operation in the program reads this result. */
  isReadInside(result: Output): boolean;
}

const FLOATS: ReadonlySet<number> = new Set([DType.float32, DType.bfloat16]);
const CASTS: ReadonlySet<number> = new Set([DType.float32, DType.bfloat16, DType.bool]);
const isFloat = ({ dtype }: Output): boolean => FLOATS.has(dtype);

export const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((size, axis) => size === b[axis]);

/** Inputs are broadcast to the result's shape. */
export const elementwise = (instruction: string): RowRule => ({
  space: ({ inputs, outputs }) => (inputs.every(isFloat) ? outputs[0]!.shape : null),
  write: (_, operands, { emit }) => emit(instruction, ...operands),
});

export const select: RowRule = {
  space({ inputs, outputs }) {
    const { shape } = outputs[0]!;
    return inputs.every((input) => sameShape(input.shape, shape)) && inputs.slice(1).every(isFloat) ? shape : null;
  },
  write: (_, operands, { emit }) => emit('select', ...operands),
};

export const sumOfAll: RowRule = {
  space: ({ inputs: [x] }) => (isFloat(x!) ? x!.shape : null),
  write: (_, [x, ...others], { emit }) => others.reduce((sum, other) => emit('add', sum, other), x!),
};

export const cast: RowRule = {
  space: ({ inputs: [x], outputs: [result] }) => (CASTS.has(x!.dtype) && CASTS.has(result!.dtype) ? x!.shape : null),
  write({ outputs }, operands, { emit, isReadInside }) {
    const [x, result] = [operands[0]!, outputs[0]!];
    if (result.dtype === DType.bool) return emit('not_equal', x, 'c0');
    // A result in bf16 is rounded where it is stored. Only what reads it inside the program must see it rounded too.
    return result.dtype === DType.bfloat16 && isReadInside(result) ? emit('round_bf16', x) : x;
  },
};

/** One number a row. */
export const reduction = (instruction: string): RowRule => ({
  space: ({ inputs: [x, axes] }) => (isFloat(x!) && isLastAxis(axes!, x!) ? x!.shape : null),
  operands: 1,
  write: (_, operands, { emit }) => emit(instruction, ...operands),
});

export const argMax: RowRule = { ...reduction('argmax'), worthItAlone: true };

export const softmax: RowRule = {
  space: ({ inputs: [x] }) => x!.shape,
  write(_, operands, { emit }) {
    const x = operands[0]!;
    const exponentials = emit('exp', emit('sub', x, emit('max', x)));
    return emit('mul', exponentials, emit('div', 'c1', emit('sum', exponentials)));
  },
  worthItAlone: true,
};

export const roll: RowRule = {
  space({ inputs }) {
    const [x, shift, axis] = inputs as [Output, Output, Output];
    const axes = constantIntegers(axis);
    return isFloat(x) && constantIntegers(shift)?.length === 1 && axes?.length === 1 && axes[0] === x.shape.length - 1 ? x.shape : null;
  },
  operands: 1,
  write: ({ inputs }, operands, { emit }) => emit('roll', operands[0]!, `c${constantIntegers(inputs[1]!)![0]}`),
};

/** One element of each row, by an index a row. */
export const pick: RowRule = {
  space({ inputs, outputs, attributes }) {
    const [x, indices, axis] = inputs as [Output, Output, Output];
    const alongRows = x.shape.length === 2 && attributes.get('batch_dims')?.value === 1 && constantIntegers(axis)?.[0] === 1;
    return alongRows && indices.shape.length === 2 && indices.shape[1] === 1 && outputs.length === 1 ? x.shape : null;
  },
  operands: 2,
  write: (_, operands, { emit }) => emit('pick', ...operands),
};

function isLastAxis(axes: Output, { shape }: Output): boolean {
  const values = constantIntegers(axes);
  return values?.length === 1 && (values[0]! + shape.length) % shape.length === shape.length - 1;
}
