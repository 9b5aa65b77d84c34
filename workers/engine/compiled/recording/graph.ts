/** A TensorFlow graph under construction. Its nodes have inferred shapes, and equal nodes are one. */

import { currentScope } from '../../tensorflow/scope.ts';

/** TensorFlow's numbers for element types. */
export const DType = { float32: 1, int32: 3, string: 7, bool: 10, bfloat16: 14, resource: 20 } as const;

export type Attribute =
  | { kind: 'type'; value: number }
  | { kind: 'types'; value: readonly number[] }
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'bool'; value: boolean }
  | { kind: 'string'; value: string }
  | { kind: 'shape'; value: readonly number[] }
  | { kind: 'tensor'; value: ConstantValue };

/** A constant's content: the bytes of its int32 or float32 elements, or a byte for each bool. */
export interface ConstantValue {
  dtype: number;
  shape: readonly number[];
  bytes: Uint8Array;
}

export interface GraphNode {
  name: string;
  op: string;
  inputs: Output[];
  /** Control dependencies: nodes that must run first although this one does not read them. */
  after: GraphNode[];
  attributes: ReadonlyMap<string, Attribute>;
  outputs: Output[];
  /** The part of the model that was being recorded. */
  scope: string;
}

/** One of a node's results. */
export interface Output {
  node: GraphNode;
  index: number;
  dtype: number;
  shape: readonly number[];
}

export type ResultType = Pick<Output, 'dtype' | 'shape'>;

/** What tfjs asks for, before it becomes a node. */
export interface Call {
  op: string;
  attributes: Record<string, Attribute>;
  inputs: Output[];
}

interface NodeOptions {
  /** Default: the operation's name and a number. */
  name?: string;
  after?: GraphNode[];
  /** Never shared with an equal node, because it holds or changes state. */
  stateful?: boolean;
  /** Default: the part that is being recorded. */
  scope?: string;
}

export class Graph {
  readonly #nodes: GraphNode[] = [];
  readonly #equal = new Map<string, GraphNode>();
  readonly #ids = new Map<Output, number>();

  /** All nodes in the order in which they were added: after their inputs, except that `recompute` adds nodes after their readers. */
  get nodes(): readonly GraphNode[] {
    return this.#nodes;
  }

  add(op: string, attributes: Record<string, Attribute>, inputs: Output[], results: ResultType[], options: NodeOptions = {}): GraphNode {
    const { name = `${op}_${this.#nodes.length}`, after = [], stateful = false } = options;
    const shared = !stateful && after.length === 0 && options.name === undefined;
    const key = shared ? JSON.stringify([op, Object.entries(attributes).map(asKey), inputs.map((input) => this.#ids.get(input))]) : '';
    const known = shared ? this.#equal.get(key) : undefined;
    if (known !== undefined) return known;
    const node: GraphNode = {
      name,
      op,
      inputs,
      after,
      attributes: new Map(Object.entries(attributes)),
      outputs: [],
      scope: options.scope ?? currentScope(),
    };
    for (const [index, { dtype, shape }] of results.entries()) {
      const output = { node, index, dtype, shape };
      node.outputs.push(output);
      this.#ids.set(output, this.#ids.size);
    }
    this.#nodes.push(node);
    if (shared) this.#equal.set(key, node);
    return node;
  }

  constant(value: ConstantValue): Output {
    const attributes: Record<string, Attribute> = { dtype: { kind: 'type', value: value.dtype }, value: { kind: 'tensor', value } };
    return this.add('Const', attributes, [], [value]).outputs[0]!;
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): Output {
    return this.constant({ dtype: DType.int32, shape, bytes: new Uint8Array(Int32Array.from(values).buffer) });
  }

  /** @param shape as TensorFlow checks it: −1 for a size that varies. @param recordedShape as later shapes are inferred from it */
  placeholder(name: string, dtype: number, shape: readonly number[], recordedShape = shape): Output {
    const attributes: Record<string, Attribute> = { dtype: { kind: 'type', value: dtype }, shape: { kind: 'shape', value: shape } };
    return this.add('Placeholder', attributes, [], [{ dtype, shape: recordedShape }], { name, stateful: true }).outputs[0]!;
  }
}

function asKey([name, attribute]: [string, Attribute]): unknown {
  if (attribute.kind !== 'tensor') return [name, attribute];
  const { dtype, shape, bytes } = attribute.value;
  return [name, dtype, shape, Buffer.from(bytes).toString('base64')];
}

/** @returns the integers of a constant; null when the output is computed, or is no int32 */
export function constantIntegers(output: Output): number[] | null {
  const value = constantValue(output);
  if (value?.dtype !== DType.int32) return null;
  const { bytes } = value;
  return [...new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
}

/** @returns the number that is an f32 constant without axes; null when the output is anything else */
export function constantNumber(output: Output): number | null {
  const value = constantValue(output);
  if (value?.dtype !== DType.float32 || output.shape.length > 0) return null;
  return new DataView(value.bytes.buffer, value.bytes.byteOffset).getFloat32(0, true);
}

function constantValue({ node }: Output): ConstantValue | null {
  const value = node.attributes.get('value');
  return value?.kind === 'tensor' ? value.value : null;
}
