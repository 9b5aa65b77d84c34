/** A tensor that lives in a session from run to run. */
import { type Attribute, DType, type Graph, type Output } from './graph.ts';

export interface SessionVariable {
  name: string;
  shape: readonly number[];
  handle: Output;
  /** Its value when a run begins. */
  value: Output;
  /** Fetched with `{name}/given` fed, sets it. */
  assigned: Output;
  /** Fetched, sets it to zeros. */
  zeroed: Output;
}

/** A variable of f32, unset until `assigned` has been fetched. */
export function sessionVariable(graph: Graph, name: string, shape: readonly number[]): SessionVariable {
  const type: Attribute = { kind: 'type', value: DType.float32 };
  const attributes: Record<string, Attribute> = {
    dtype: type,
    shape: { kind: 'shape', value: shape },
    shared_name: { kind: 'string', value: name },
    container: { kind: 'string', value: '' },
  };
  const handle = graph.add('VarHandleOp', attributes, [], [{ dtype: DType.resource, shape: [] }], { name: `${name}/handle`, stateful: true })
    .outputs[0]!;
  const value = graph.add('ReadVariableOp', { dtype: type }, [handle], [{ dtype: DType.float32, shape }], { name: `${name}/value`, stateful: true });
  /** @returns what is fetched to set the variable */
  const set = (node: string, to: Output): Output => {
    const assign = graph.add('AssignVariableOp', { dtype: type }, [handle, to], [], { name: `${name}/${node}/assign`, stateful: true });
    const done: Record<string, Attribute> = {
      dtype: { kind: 'type', value: DType.int32 },
      value: { kind: 'tensor', value: { dtype: DType.int32, shape: [], bytes: new Uint8Array(4) } },
    };
    return graph.add('Const', done, [], [{ dtype: DType.int32, shape: [] }], { name: `${name}/${node}`, after: [assign], stateful: true })
      .outputs[0]!;
  };
  const zero = graph.constant({ dtype: DType.float32, shape: [], bytes: new Uint8Array(4) });
  const fill: Record<string, Attribute> = { T: type, index_type: { kind: 'type', value: DType.int32 } };
  const zeros = graph.add('Fill', fill, [graph.integers(shape), zero], [{ dtype: DType.float32, shape }]).outputs[0]!;
  return {
    name,
    shape,
    handle,
    value: value.outputs[0]!,
    assigned: set('assigned', graph.placeholder(`${name}/given`, DType.float32, shape)),
    zeroed: set('zeroed', zeros),
  };
}
