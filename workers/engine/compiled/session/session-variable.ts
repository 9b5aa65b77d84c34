/** A tensor that a session keeps from run to run. */
import type { HeldClass, HeldFloats } from '../../io/float-formats.ts';
import { backend } from '../../tensorflow/backend.ts';
import { type Tensor, tf } from '../../tensorflow/tensorflow.ts';
import { type Attribute, DType, type Graph, type Output } from '../recording/graph.ts';
import { cast, exact } from '../recording/mixed-precision.ts';

export interface SessionVariable {
  name: string;
  shape: readonly number[];
  /** TensorFlow's number for the type of its elements. */
  dtype: number;
  handle: Output;
  /** Its value at the beginning of a run. */
  value: Output;
  /** The value in f32; of int32, as it is. */
  exactValue: Output;
  /** On a GPU: fetching it sets the variable to the feed `{name}/given`, which `asGiven` makes. On a CPU `GraphSession.write` sets variables. */
  assigned: Output | null;
  /** Fetching it sets the variable to zeros. */
  zeroed: Output;
}

export type VariableType = typeof DType.float32 | typeof DType.bfloat16 | typeof DType.int32;

interface VariableOptions {
  /**
   * Of its elements; default f32. An int32 variable holds other things than numbers, such as four codes of 8 bits an element. A GPU's session holds it as
   * f32, because TensorFlow keeps int32 in main memory.
   */
  dtype?: VariableType;
}

/** Adds a variable. It has no value until it is set or `zeroed` is fetched. */
export function sessionVariable(
  graph: Graph,
  name: string,
  shape: readonly number[],
  { dtype: asked = DType.float32 }: VariableOptions = {},
): SessionVariable {
  const holdsWords = asked === DType.int32;
  const dtype = holdsWords && backend.isUsingGpuDevice ? DType.float32 : asked;
  const type: Attribute = { kind: 'type', value: dtype };
  const attributes: Record<string, Attribute> = {
    dtype: type,
    shape: { kind: 'shape', value: shape },
    shared_name: { kind: 'string', value: name },
    container: { kind: 'string', value: '' },
  };
  const handle = graph.add('VarHandleOp', attributes, [], [{ dtype: DType.resource, shape: [] }], { name: `${name}/handle`, stateful: true })
    .outputs[0]!;
  const value = graph.add('ReadVariableOp', { dtype: type }, [handle], [{ dtype, shape }], { name: `${name}/value`, stateful: true });
  /** @returns the output that sets the variable when it is fetched */
  const set = (node: string, to: Output): Output => {
    const assign = graph.add('AssignVariableOp', { dtype: type }, [handle, cast(graph, to, dtype)], [], {
      name: `${name}/${node}/assign`,
      stateful: true,
    });
    const done: Record<string, Attribute> = {
      dtype: { kind: 'type', value: DType.int32 },
      value: { kind: 'tensor', value: { dtype: DType.int32, shape: [], bytes: new Uint8Array(4) } },
    };
    return graph.add('Const', done, [], [{ dtype: DType.int32, shape: [] }], { name: `${name}/${node}`, after: [assign], stateful: true })
      .outputs[0]!;
  };
  const zeroType = dtype === DType.int32 ? DType.int32 : DType.float32;
  const zero = graph.constant({ dtype: zeroType, shape: [], bytes: new Uint8Array(4) });
  const fill: Record<string, Attribute> = { T: { kind: 'type', value: zeroType }, index_type: { kind: 'type', value: DType.int32 } };
  const zeros = graph.add('Fill', fill, [graph.integers(shape), zero], [{ dtype: zeroType, shape }]).outputs[0]!;
  const given = () => {
    if (dtype === DType.bfloat16) return givenInPairs(graph, name, shape);
    return holdsWords ? givenAsWords(graph, name, { dtype, shape }) : graph.placeholder(`${name}/given`, dtype, shape);
  };
  return {
    name,
    shape,
    dtype,
    handle,
    value: value.outputs[0]!,
    exactValue: exact(graph, value.outputs[0]!),
    assigned: backend.isUsingGpuDevice ? set('assigned', given()) : null,
    zeroed: set('zeroed', zeros),
  };
}

/** Feeds two bf16 as one int32, because tfjs has no bf16. */
function givenInPairs(graph: Graph, name: string, shape: readonly number[]): Output {
  const pairs = graph.placeholder(`${name}/given`, DType.int32, halved(shape));
  const types: Record<string, Attribute> = { T: { kind: 'type', value: DType.int32 }, type: { kind: 'type', value: DType.bfloat16 } };
  const [split] = graph.add('Bitcast', types, [pairs], [{ dtype: DType.bfloat16, shape: [...halved(shape), 2] }]).outputs;
  const reshape: Record<string, Attribute> = { T: { kind: 'type', value: DType.bfloat16 }, Tshape: { kind: 'type', value: DType.int32 } };
  return graph.add('Reshape', reshape, [split!, graph.integers(shape)], [{ dtype: DType.bfloat16, shape }]).outputs[0]!;
}

/** Feeds int32, whose bytes the variable holds. */
function givenAsWords(graph: Graph, name: string, held: { dtype: number; shape: readonly number[] }): Output {
  const words = graph.placeholder(`${name}/given`, DType.int32, held.shape);
  const types: Record<string, Attribute> = { T: { kind: 'type', value: DType.int32 }, type: { kind: 'type', value: held.dtype } };
  return graph.add('Bitcast', types, [words], [held]).outputs[0]!;
}

/** @returns the class of the arrays that hold its values in JavaScript */
export const heldClass = ({ dtype }: SessionVariable): HeldClass => (dtype === DType.bfloat16 ? Uint16Array : Float32Array);

/**
 * The tensor to feed as `{name}/given`.
 * @param values row-major, in the variable's `heldClass`; an even number of them for bf16; of an int32 variable, its elements
 */
export function asGiven({ shape }: SessionVariable, values: HeldFloats | Int32Array): Tensor {
  if (values instanceof Float32Array) return tf.tensor(values, [...shape]);
  if (values instanceof Int32Array) return tf.tensor(values, [...shape], 'int32');
  return tf.tensor(new Int32Array(values.buffer, values.byteOffset, values.length / 2), halved(shape), 'int32');
}

const halved = (shape: readonly number[]): number[] => [...shape.slice(0, -1), shape.at(-1)! / 2];
