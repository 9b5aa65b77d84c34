/** Where a graph's time goes: its operations one by one, each timed. Alone they take longer than together; their shares are what to look at. */
import { backend, type OpAttribute } from '../backend.ts';
import type { Tensor } from '../tensorflow.ts';
import { type Attribute, DType, type GraphNode, type Output } from './graph.ts';

export interface TimedOperation {
  op: string;
  /** The part of the model, as the checkpoint names it. */
  scope: string;
  milliseconds: number;
  /** Of a product; 0 of all else. */
  flops: number;
}

interface Computed {
  id: number;
  shape: readonly number[];
  /** Readers that are still to come; held by others when infinite. */
  readers: number;
}

/** Nodes whose results are given instead of computed. */
const GIVEN = new Set(['Placeholder', 'ReadVariableOp']);
/** Changing the session's state is left out. */
const STATE = new Set(['AssignAddVariableOp', 'AssignSubVariableOp', 'AssignVariableOp', 'ResourceApplyAdam', 'VarHandleOp']);

/**
 * @param wanted what to compute
 * @param given  tensors for placeholders and for variables' values; remain the caller's
 */
export function profile(wanted: readonly Output[], given: (output: Output) => Tensor): TimedOperation[] {
  const order = inOrder(wanted.map(({ node }) => node)).filter(({ op }) => !STATE.has(op));
  const readers = new Map<Output, number>();
  for (const { inputs } of order) for (const input of inputs) readers.set(input, (readers.get(input) ?? 0) + 1);
  const computed = new Map<Output, Computed>();
  const timed: TimedOperation[] = [];
  for (const node of order) {
    if (GIVEN.has(node.op)) {
      const [output] = node.outputs;
      const tensor = given(output!);
      const [id] = backend.getInputTensorIds([tensor]) as [number];
      computed.set(output!, { id: output!.dtype === DType.bfloat16 ? asBfloat16(id) : id, shape: tensor.shape, readers: Number.POSITIVE_INFINITY });
      continue;
    }
    const inputs = node.inputs.map((input) => computed.get(input)!);
    const startedMs = performance.now();
    const results = node.op === 'Const' ? [constant(node)] : execute(node, inputs);
    const milliseconds = performance.now() - startedMs;
    for (const [index, { id, shape }] of results.entries()) {
      const output = node.outputs[index]!;
      if (readers.has(output)) computed.set(output, { id, shape, readers: readers.get(output)! });
      else backend.binding.deleteTensor(id);
    }
    timed.push({ op: node.op, scope: node.scope, milliseconds, flops: flopsOf(node, inputs, results[0]!.shape) });
    for (const input of inputs) {
      input.readers -= 1;
      if (input.readers === 0) backend.binding.deleteTensor(input.id);
    }
  }
  return timed;
}

/** Each after what it reads and waits for. */
function inOrder(last: readonly GraphNode[]): GraphNode[] {
  const order: GraphNode[] = [];
  const state = new Map<GraphNode, 'open' | 'done'>();
  const stack = [...last];
  while (stack.length > 0) {
    const node = stack.at(-1)!;
    const before = state.get(node);
    if (before === undefined) {
      state.set(node, 'open');
      stack.push(...[...node.after, ...node.inputs.map((input) => input.node)].filter((input) => !state.has(input)));
      continue;
    }
    stack.pop();
    if (before === 'open') order.push(node);
    state.set(node, 'done');
  }
  return order;
}

function execute(node: GraphNode, inputs: readonly Computed[]): { id: number; shape: number[] }[] {
  return backend.binding.executeOp(
    node.op,
    [...node.attributes].map(([name, attribute]) => asArgument(name, attribute)),
    inputs.map(({ id }) => id),
    node.outputs.length,
  );
}

/** tfjs has no tensors of it. */
function asBfloat16(id: number): number {
  const type = (name: string, value: number): OpAttribute => ({ name, type: backend.binding.TF_ATTR_TYPE, value });
  return backend.binding.executeOp('Cast', [type('SrcT', DType.float32), type('DstT', DType.bfloat16)], [id], 1)[0]!.id;
}

function constant(node: GraphNode): { id: number; shape: number[] } {
  const value = node.attributes.get('value');
  if (value?.kind !== 'tensor') throw new Error(`the constant ${node.name} has no value`);
  const { dtype, shape, bytes } = value.value;
  const copy = bytes.slice().buffer;
  const Values = dtype === DType.float32 ? Float32Array : dtype === DType.int32 ? Int32Array : Uint8Array;
  return { id: backend.binding.createTensor(shape, dtype, new Values(copy)), shape: [...shape] };
}

function asArgument(name: string, attribute: Attribute): OpAttribute {
  const { TF_ATTR_STRING, TF_ATTR_INT, TF_ATTR_FLOAT, TF_ATTR_BOOL, TF_ATTR_TYPE } = backend.binding;
  const types = { string: TF_ATTR_STRING, int: TF_ATTR_INT, float: TF_ATTR_FLOAT, bool: TF_ATTR_BOOL, type: TF_ATTR_TYPE };
  if (attribute.kind === 'shape' || attribute.kind === 'tensor') throw new Error(`the attribute ${name} cannot be given to a single operation`);
  return { name, type: types[attribute.kind], value: attribute.value };
}

function flopsOf({ op, attributes }: GraphNode, inputs: readonly Computed[], shape: readonly number[]): number {
  if (op !== 'BatchMatMulV2' && op !== 'MatMul') return 0;
  const transposed = attributes.get(op === 'MatMul' ? 'transpose_a' : 'adj_x');
  const inner = inputs[0]!.shape.at(transposed?.kind === 'bool' && transposed.value ? -2 : -1)!;
  return 2 * inner * shape.reduce((product, size) => product * size, 1);
}
