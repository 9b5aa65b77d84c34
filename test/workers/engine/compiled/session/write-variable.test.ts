import { describe, expect, it } from 'vitest';
import { DType, Graph } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { GraphSession } from '../../../../../workers/engine/compiled/session/session.ts';
import { sessionVariable } from '../../../../../workers/engine/compiled/session/session-variable.ts';
import { tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

const SHAPE = [3, 32];

function variableOf(dtype: typeof DType.float32 | typeof DType.bfloat16) {
  const graph = new Graph();
  const variable = sessionVariable(graph, 'x', SHAPE, { dtype });
  const session = new GraphSession(graph, [variable.exactValue, variable.zeroed]);
  const read = () => tf.tidy(() => session.run({}, [variable.exactValue])[0]!.dataSync<'float32'>()) as unknown as Float32Array;
  return { variable, session, read };
}

const row = (value: number) => new Float32Array(32).fill(value);

describe('write', () => {
  it('of a new variable in parts, in any order, sets it to them', () => {
    const { variable, session, read } = variableOf(DType.float32);
    session.write(variable, { firstRow: 2, values: row(3) });
    session.write(variable, { firstRow: 0, values: Float32Array.of(...row(1), ...row(2)) });
    expect(read()).toEqual(Float32Array.of(...row(1), ...row(2), ...row(3)));
    session.dispose();
  });

  it('of a variable in bf16, takes the bits of bf16', () => {
    const { variable, session, read } = variableOf(DType.bfloat16);
    session.write(variable, { firstRow: 0, values: new Uint16Array(96).fill(0x3fc0, 32) }); // 1.5
    expect(read()).toEqual(Float32Array.of(...row(0), ...row(1.5), ...row(1.5)));
    session.dispose();
  });

  it('of one row of a variable with a value, leaves the others as they were', () => {
    const { variable, session, read } = variableOf(DType.float32);
    tf.dispose(session.run({}, [variable.zeroed]));
    session.write(variable, { firstRow: 1, values: row(5) });
    expect(read()).toEqual(Float32Array.of(...row(0), ...row(5), ...row(0)));
    session.dispose();
  });

  it('while an earlier value is held outside, leaves that value as it was', () => {
    const { variable, session, read } = variableOf(DType.float32);
    tf.dispose(session.run({}, [variable.zeroed]));
    const [earlier] = session.run({}, [variable.value]);
    session.write(variable, { firstRow: 1, values: row(5) });
    expect(earlier!.dataSync<'float32'>()).toEqual(new Float32Array(96));
    expect(read()).toEqual(Float32Array.of(...row(0), ...row(5), ...row(0)));
    tf.dispose(earlier!);
    session.dispose();
  });

  it('of nothing, into a new variable, sets all of it to zeros', () => {
    const { variable, session, read } = variableOf(DType.float32);
    session.zero([variable]);
    expect(read()).toEqual(new Float32Array(96));
    session.dispose();
  });

  it('beyond the last row is an error that names the variable', () => {
    const { variable, session } = variableOf(DType.float32);
    expect(() => session.write(variable, { firstRow: 2, values: new Float32Array(64) })).toThrow(/256 bytes from row 2 on do not fit into x/);
    session.dispose();
  });

  it('leaves no tensors behind', () => {
    const { variable, session } = variableOf(DType.float32);
    const { numTensors } = tf.memory();
    session.write(variable, { firstRow: 0, values: row(1) });
    expect(tf.memory().numTensors).toBe(numTensors);
    session.dispose();
  });
});
