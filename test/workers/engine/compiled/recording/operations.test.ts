import { afterEach, describe, expect, it } from 'vitest';
import type { Precision } from '../../../../../src/formats/hyperparameters.ts';
import {
  type Attribute,
  constantIntegers,
  DType,
  Graph,
  type GraphNode,
  type Output,
} from '../../../../../workers/engine/compiled/recording/graph.ts';
import { cast, exact } from '../../../../../workers/engine/compiled/recording/mixed-precision.ts';
import { inRange, lookUp, OPERATIONS, type Operation } from '../../../../../workers/engine/compiled/recording/operations.ts';
import { Recorder } from '../../../../../workers/engine/compiled/recording/recorder.ts';
import { spaceOf, writeProgram } from '../../../../../workers/engine/compiled/rewriting/row-program.ts';
import { profile } from '../../../../../workers/engine/compiled/session/profile.ts';
import { GraphSession } from '../../../../../workers/engine/compiled/session/session.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';
import { EXAMPLES, RECORDED_ROWS, ROWS } from './operation-examples.ts';

/** By TensorFlow's number, tfjs's name. */
const DTYPES: Readonly<Record<number, string>> = { [DType.float32]: 'float32', [DType.int32]: 'int32', [DType.bool]: 'bool' };

let session: GraphSession | undefined;
afterEach(() => {
  session?.dispose();
  session = undefined;
});

/** Records the example of an operation. @returns its node, and a function that runs the graph for ROWS rows */
function recorded(op: string, precision: Precision = 'f32', prepare: (x: Tensor2D) => Tensor2D = (x) => x) {
  const recorder = new Recorder(precision);
  recorder.size('rows', RECORDED_ROWS);
  const x = recorder.feed('x', 'float32', [RECORDED_ROWS, 6]) as Tensor2D;
  const w = recorder.feed('w', 'float32', [6, 5]) as Tensor2D;
  const bytes = new Uint8Array(Uint16Array.from({ length: 4 * 6 }, () => 0x3f80).buffer);
  const held = recorder.tensor(recorder.graph.constant({ dtype: DType.bfloat16, shape: [4, 6], bytes })) as Tensor2D;
  recorder.record(() =>
    tf.tidy(() => {
      EXAMPLES[op]!.body(prepare(x), w, held);
    }),
  );
  recorder.dispose();
  const { graph } = recorder;
  const node = graph.nodes.findLast((node) => node.op === op);
  if (node === undefined) throw new Error(`the example does not ask for ${op}`);
  /** @returns the fetched outputs, in f32 where they are in bf16 */
  const run = (outputs: readonly Output[]): Tensor[] => {
    const fetches = outputs.map((output) => exact(graph, output));
    session?.dispose();
    session = new GraphSession(graph, fetches);
    return session.run({ x: fractions([ROWS, 6]), w: fractions([6, 5]), rows: tf.scalar(ROWS, 'int32') }, fetches);
  };
  const actual = (size: number): number => recorder.actualSize(size, { rows: ROWS });
  return { recorder, graph, node, run, actual };
}

/** 1/32, 2/32, …: exact in bf16, and below 2. */
const fractions = (shape: [number, number]): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: shape[0] * shape[1] }, (_, index) => (index + 1) / 32),
    shape,
  );

const operationsWith = (field: keyof Operation): string[] => Object.keys(OPERATIONS).filter((op) => OPERATIONS[op]![field] !== undefined);
const sorted = (tensors: readonly Tensor[]): number[] => tensors.flatMap((tensor) => [...tensor.dataSync()]).sort((a, b) => a - b);

function expectClose(got: Tensor, wanted: Tensor, tolerance: number): void {
  expect(got.shape).toEqual(wanted.shape);
  expect(got.dtype).toBe(wanted.dtype);
  const [numbers, expected] = [[...got.dataSync()], [...wanted.dataSync()]];
  const scale = Math.max(1, ...expected.map(Math.abs));
  for (const [index, number] of numbers.entries()) expect(Math.abs(number - expected[index]!) / scale).toBeLessThanOrEqual(tolerance);
}

describe('the table of operations', () => {
  it('has an example here for every row that can be checked', () => {
    expect(Object.keys(EXAMPLES).sort()).toEqual([...new Set([...operationsWith('results'), ...operationsWith('flops')])].sort());
  });

  it('refuses by name an operation that it has no row for', () => {
    expect(() => lookUp('Floor')).toThrow('the operation Floor cannot be recorded: recording/operations.ts has no row for it');
    const recorder = new Recorder();
    const x = recorder.feed('x', 'float32', [2]);
    expect(() => recorder.record(() => tf.floor(x))).toThrow('the operation Floor cannot be recorded');
    recorder.dispose();
  });
});

describe.each(operationsWith('results'))('the results of %s', (op) => {
  it('have the types and shapes that TensorFlow gives them', () => {
    tf.tidy(() => {
      const { node, run, actual } = recorded(op);
      const inferred = node.outputs.map(({ dtype, shape }) => ({ dtype: DTYPES[dtype], shape: shape.map(actual) }));
      expect(run(node.outputs).map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(inferred);
    });
  });
});

describe.each(operationsWith('shapedBy'))('the sizes among the inputs of %s', (op) => {
  it('are computed from the sizes that are fed if they vary', () => {
    const { node } = recorded(op);
    const constant = node.inputs.flatMap((input, index) => (constantIntegers(input) === null ? [] : [index]));
    expect(constant.filter((index) => lookUp(op).shapedBy!.includes(index))).toEqual([]);
  });
});

describe.each(operationsWith('products'))('%s in bf16', (op) => {
  it('reads in bf16 the inputs that the table names and no others, and TensorFlow accepts it', () => {
    tf.tidy(() => {
      const { node, run } = recorded(op, 'bf16');
      const inBf16 = node.inputs.flatMap(({ dtype }, index) => (dtype === DType.bfloat16 ? [index] : []));
      expect(inBf16).toEqual(lookUp(op).products);
      const results = run(node.outputs);
      const inF32 = recorded(op);
      for (const [index, wanted] of inF32.run(inF32.node.outputs).entries()) expectClose(results[index]!, wanted, 0.01);
    });
  });
});

describe.each(operationsWith('moves'))('%s of a tensor in bf16', (op) => {
  it('gives its elements in bf16, and all of them if it is a permutation', () => {
    tf.tidy(() => {
      const inBf16 = (x: Tensor2D): Tensor2D => tf.matMul(x, tf.eye(6));
      const { node, run } = recorded(op, 'bf16', inBf16);
      const { moves, permutes = false } = lookUp(op);
      const moved = inRange(node.inputs, moves!);
      expect([...moved, ...node.outputs].map(({ dtype }) => dtype)).toEqual([...moved, ...node.outputs].map(() => DType.bfloat16));
      const [before, after] = [sorted(run(moved)), sorted(run(node.outputs))];
      if (permutes) expect(after).toEqual(before);
      else expect(before).toEqual(expect.arrayContaining(after));
    });
  });
});

describe.each(operationsWith('permutes'))('a cast of the results of %s', (op) => {
  it('is recorded as a cast of its inputs, with the same numbers', () => {
    tf.tidy(() => {
      const { graph, node, run } = recorded(op);
      const casted = node.outputs.map((output) => cast(graph, output, DType.bfloat16));
      expect(casted.map((output) => output.node.op)).toEqual(node.outputs.map(() => op));
      const wanted = run(node.outputs);
      for (const [index, got] of run(casted).entries()) expectClose(got, wanted[index]!, 0);
    });
  });
});

describe.each(operationsWith('view'))('%s, a view', (op) => {
  it('moves elements of its first input and nothing else', () => {
    expect(lookUp(op).moves).toBe('the first');
  });
});

describe.each(operationsWith('rows'))('%s as a program over rows', (op) => {
  it('computes what the operation itself computes', () => {
    tf.tidy(() => {
      const { graph, node, run } = recorded(op);
      const fused = graph.add('GraftFusedRows', ...programOf(node), node.outputs);
      const [got, wanted] = run([fused.outputs[0]!, node.outputs[0]!]) as [Tensor, Tensor];
      expectClose(got, wanted, 1e-6);
    });
  });
});

function programOf(node: GraphNode): [attributes: Record<string, Attribute>, inputs: Output[]] {
  const { text, inputs } = writeProgram([node], node.outputs, spaceOf(node)!);
  const types = (outputs: readonly Output[]): Attribute => ({ kind: 'types', value: outputs.map(({ dtype }) => dtype) });
  return [{ program: { kind: 'string', value: text }, Tin: types(inputs), Tout: types(node.outputs) }, inputs];
}

describe.each(operationsWith('flops'))('a profile of %s', (op) => {
  it('counts the floating-point operations of its definition', () => {
    const { graph, node, run, actual } = recorded(op);
    const timed = profile(() => tf.tidy(() => void run(node.outputs)), { nodes: graph.nodes, actual });
    expect(timed.filter((operation) => operation.op === op).map(({ flops }) => flops)).toEqual([EXAMPLES[op]!.flops]);
  });
});

describe.each(operationsWith('fed'))('a %s that nothing reads', (op) => {
  it('can be fed nevertheless', () => {
    const graph = new Graph();
    const unread = graph.placeholder('unread', DType.float32, []);
    expect(unread.node.op).toBe(op);
    const fetched = graph.integers([3]);
    session = new GraphSession(graph, [fetched]);
    tf.tidy(() => {
      expect([...session!.run({ unread: tf.scalar(4) }, [fetched])[0]!.dataSync()]).toEqual([3]);
    });
  });
});
