/**
 * Mixed precision (Micikevicius et al. 2018, with bf16) as a rule for recording. Products read and give bf16, operations that only move elements keep
 * their type, and all others compute in f32. tfjs has no bf16, so it takes everything for f32.
 */
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { type Attribute, type Call, DType, type Graph, type Output } from './graph.ts';
import { inRange, lookUp } from './operations.ts';

/** @returns attributes and inputs in the types that the operation computes in */
export function typed(graph: Graph, { op, attributes, inputs }: Call, precision: Precision): Pick<Call, 'attributes' | 'inputs'> {
  const { takesAnyFloat, products, widens, moves, movedType = 'T' } = lookUp(op);
  if (takesAnyFloat) return { attributes: { ...attributes, Tin: { kind: 'types', value: inputs.map(({ dtype }) => dtype) } }, inputs };
  if (precision === 'bf16' && products !== undefined) {
    const converted = inputs.map((input, index) => (products.includes(index) ? cast(graph, input, DType.bfloat16) : exact(graph, input)));
    const types = { T: typeOf(DType.bfloat16), ...(widens !== undefined && { Tw: typeOf(DType.bfloat16) }) };
    return { attributes: { ...attributes, ...types }, inputs: converted };
  }
  if (widens !== undefined)
    return {
      attributes: { ...attributes, Tw: typeOf(inputs[widens]!.dtype) },
      inputs: inputs.map((input, index) => (index === widens ? input : exact(graph, input))),
    };
  if (moves !== undefined && inRange(inputs, moves).every(({ dtype }) => dtype === DType.bfloat16))
    return { attributes: { ...attributes, [movedType]: typeOf(DType.bfloat16) }, inputs };
  return { attributes, inputs: inputs.map((input) => exact(graph, input)) };
}

/** @returns the output, cast to f32 if it is in bf16 */
export const exact = (graph: Graph, output: Output): Output => (output.dtype === DType.bfloat16 ? cast(graph, output, DType.float32) : output);

export function cast(graph: Graph, output: Output, dtype: number): Output {
  if (output.dtype === dtype) return output;
  const { node, index } = output;
  const { permutes, moves, movedType = 'T' } = lookUp(node.op);
  if (dtype === DType.bfloat16 && permutes && moves !== undefined) {
    // Casting first leaves half the bytes to move, and one cast serves all parts of a tensor.
    const moved = inRange(node.inputs, moves).map((input) => cast(graph, input, dtype));
    const attributes = { ...Object.fromEntries(node.attributes), [movedType]: typeOf(dtype) };
    const results = node.outputs.map(({ shape }) => ({ dtype, shape }));
    const inputs = [...moved, ...node.inputs.slice(moved.length)];
    return graph.add(node.op, attributes, inputs, results, { scope: node.scope }).outputs[index]!;
  }
  const attributes: Record<string, Attribute> = { SrcT: typeOf(output.dtype), DstT: typeOf(dtype), Truncate: { kind: 'bool', value: false } };
  return graph.add('Cast', attributes, [output], [{ dtype, shape: output.shape }]).outputs[0]!;
}

/** @returns the bf16 output that was cast to this one; without such a cast, this one */
export const beforeCast = (output: Output): Output =>
  output.node.op === 'Cast' && output.node.inputs[0]!.dtype === DType.bfloat16 ? output.node.inputs[0]! : output;

const typeOf = (dtype: number): Attribute => ({ kind: 'type', value: dtype });
