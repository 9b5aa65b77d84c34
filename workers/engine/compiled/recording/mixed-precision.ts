/**
 * Mixed precision as a rule for recording (Micikevicius et al. 2018, with bf16): products read and give bf16, what only moves elements leaves them in the
 * type they are of, and everything else computes in f32. tfjs knows no bf16: to its eyes all is f32.
 */
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { type Attribute, DType, type Graph, type Output } from './graph.ts';

const PRODUCTS = new Set(['BatchMatMulV2']);
/** Which inputs of the engine's own kernels are of products' type. */
const OF_PRODUCTS: Readonly<Record<string, readonly number[]>> = {
  GraftAttention: [0, 1, 2],
  GraftAttentionGradient: [0, 1, 2, 5],
  GraftExpansionGradient: [0],
};
/** By operation the attribute that names the type of what is moved. */
const MOVES: Readonly<Record<string, string>> = { Reshape: 'T', SplitV: 'T', Slice: 'T', Transpose: 'T', GatherV2: 'Tparams', Identity: 'T' };
/** Those that a cast may be moved in front of: every element of their first input is one of their results'. */
const PERMUTATIONS = new Set(['Reshape', 'SplitV', 'Transpose']);

/** About to be recorded. */
export interface Operation {
  op: string;
  attributes: Record<string, Attribute>;
  inputs: Output[];
}

/** @returns attributes and inputs of the types that the operation computes in */
export function typed(graph: Graph, { op, attributes, inputs }: Operation, precision: Precision): Pick<Operation, 'attributes' | 'inputs'> {
  if (precision === 'bf16' && PRODUCTS.has(op)) {
    return { attributes: { ...attributes, T: typeOf(DType.bfloat16) }, inputs: inputs.map((input) => cast(graph, input, DType.bfloat16)) };
  }
  const ofProducts = OF_PRODUCTS[op];
  if (precision === 'bf16' && ofProducts !== undefined) {
    const casted = inputs.map((input, index) => (ofProducts.includes(index) ? cast(graph, input, DType.bfloat16) : exact(graph, input)));
    return { attributes: { ...attributes, T: typeOf(DType.bfloat16) }, inputs: casted };
  }
  const operands = inputs.slice(0, -1);
  if (op === 'ConcatV2' && operands.every(({ dtype }) => dtype === DType.bfloat16))
    return { attributes: { ...attributes, T: typeOf(DType.bfloat16) }, inputs };
  const moved = MOVES[op];
  if (moved !== undefined && inputs[0]!.dtype === DType.bfloat16) return { attributes: { ...attributes, [moved]: typeOf(DType.bfloat16) }, inputs };
  return { attributes, inputs: inputs.map((input) => exact(graph, input)) };
}

/** What is in bf16, in f32. */
export const exact = (graph: Graph, output: Output): Output => (output.dtype === DType.bfloat16 ? cast(graph, output, DType.float32) : output);

export function cast(graph: Graph, output: Output, dtype: number): Output {
  if (output.dtype === dtype) return output;
  const { node, index } = output;
  if (dtype === DType.bfloat16 && node.op === 'ConcatV2') {
    const parts = node.inputs.slice(0, -1).map((part) => cast(graph, part, dtype));
    const attributes = { ...Object.fromEntries(node.attributes), T: typeOf(dtype) };
    return graph.add(node.op, attributes, [...parts, node.inputs.at(-1)!], [{ dtype, shape: output.shape }], { scope: node.scope }).outputs[0]!;
  }
  if (dtype === DType.bfloat16 && PERMUTATIONS.has(node.op)) {
    // What is half as large is moved faster, and parts of one tensor are cast together.
    const [x, ...operands] = node.inputs as [Output, ...Output[]];
    const attributes = { ...Object.fromEntries(node.attributes), T: typeOf(dtype) };
    const results = node.outputs.map(({ shape }) => ({ dtype, shape }));
    return graph.add(node.op, attributes, [cast(graph, x, dtype), ...operands], results, { scope: node.scope }).outputs[index]!;
  }
  const attributes: Record<string, Attribute> = { SrcT: typeOf(output.dtype), DstT: typeOf(dtype), Truncate: { kind: 'bool', value: false } };
  return graph.add('Cast', attributes, [output], [{ dtype, shape: output.shape }]).outputs[0]!;
}

const typeOf = (dtype: number): Attribute => ({ kind: 'type', value: dtype });
