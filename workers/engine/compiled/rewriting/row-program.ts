/** Writes a cluster of operations as the program of one GraftFusedRows. kernels/row-program.h describes the language. */
import { constantNumber, type GraphNode, type Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { sameShape } from '../recording/row-rules.ts';

/** @returns the shape of a tensor with one number a row */
export const rowShape = (shape: readonly number[]): number[] => [...shape.slice(0, -1), 1];

/** @returns the shape of the rows that a program computes the node over; null if no program can */
export function spaceOf(node: GraphNode): readonly number[] | null {
  const { inputs, outputs } = node;
  if (inputs.length === 0 || (outputs[0]?.shape.length ?? 0) === 0) return null;
  return lookUp(node.op).rows?.space(node) ?? null;
}

export interface WrittenProgram {
  text: string;
  inputs: Output[];
}

/**
 * @param members each after those that it reads
 * @param results those that are read outside
 * @param space   the shape of the rows
 */
export function writeProgram(members: readonly GraphNode[], results: readonly Output[], space: readonly number[]): WrittenProgram {
  const inside = new Set(members);
  const inputs = [
    ...new Set(members.flatMap((member) => rowsOf(member).filter((input) => !inside.has(input.node) && constantNumber(input) === null))),
  ];
  const isFull = ({ shape }: Output): boolean => shape.length > 0 && shape.at(-1) !== 1;
  const words = inputs.map((input) => `in ${isFull(input) ? 'full' : 'row'}`);
  const values = new Map<Output, string>(inputs.map((input, index) => [input, `v${index}`]));
  const known = new Map<string, string>(); // values by instruction: the cluster may hold a node twice, once as recomputed for the backward pass
  const emit = (...instruction: string[]): string => {
    const written = instruction.join(' ');
    const value = known.get(written) ?? `v${inputs.length + known.size}`;
    if (!known.has(written)) words.push(written);
    known.set(written, value);
    return value;
  };
  const operandOf = (output: Output): string => values.get(output) ?? `c${constantNumber(output)}`;
  const readInside = new Set(members.flatMap((member) => member.inputs));
  const isReadInside = (result: Output): boolean => readInside.has(result);
  for (const node of members) {
    values.set(node.outputs[0]!, lookUp(node.op).rows!.write(node, rowsOf(node).map(operandOf), { emit, isReadInside }));
  }
  const form = ({ shape }: Output): string => (sameShape(shape, space) ? 'full' : shape.length === space.length ? 'keep' : 'drop');
  for (const result of results) words.push(`out ${form(result)} ${values.get(result)}`);
  return { text: words.join(' '), inputs };
}

/** The inputs that are rows, without those that are parameters. */
const rowsOf = ({ op, inputs }: GraphNode): Output[] => inputs.slice(0, lookUp(op).rows!.operands);
