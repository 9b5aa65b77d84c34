/**
 * Sets a session's variables in parts (kernels/write-variable.cc): what they hold goes from a file through a small array to where it stays, and is never
 * in memory twice. One operation serves all variables, because a session prepares each set of fetches anew.
 */
import type { HeldFloats } from '../../io/float-formats.ts';
import { type Tensor, tf } from '../../tensorflow/tensorflow.ts';
import { DType, type Graph, type Output } from '../recording/graph.ts';
import type { SessionVariable } from './session-variable.ts';

/** Names of the feeds, in the order of the operation's inputs. */
const FEEDS = { name: 'write/name', dtype: 'write/dtype', shape: 'write/shape', firstRow: 'write/first_row', words: 'write/words' } as const;

export interface Write {
  /** Fetching it writes what is fed. */
  written: Output;
}

const recorded = new WeakMap<Graph, Write>();

/** @returns the same for several sessions of one graph */
export function recordWrite(graph: Graph): Write {
  const known = recorded.get(graph) ?? record(graph);
  recorded.set(graph, known);
  return known;
}

function record(graph: Graph): Write {
  const inputs = [
    graph.placeholder(FEEDS.name, DType.string, []),
    graph.placeholder(FEEDS.dtype, DType.int32, []),
    graph.placeholder(FEEDS.shape, DType.int32, [-1]),
    graph.placeholder(FEEDS.firstRow, DType.int32, []),
    graph.placeholder(FEEDS.words, DType.int32, [-1]),
  ];
  const results = [{ dtype: DType.int32, shape: [] }];
  return { written: graph.add('GraftWriteVariable', {}, inputs, results, { stateful: true, scope: '' }).outputs[0]! };
}

/** @returns feeds that the caller owns */
export function writeFeeds(
  { name, dtype, shape }: SessionVariable,
  { firstRow, values }: { firstRow: number; values: HeldFloats | Int32Array },
): Record<string, Tensor> {
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  return {
    [FEEDS.name]: tf.scalar(name, 'string'),
    [FEEDS.dtype]: tf.scalar(dtype, 'int32'),
    [FEEDS.shape]: tf.tensor1d([...shape], 'int32'),
    [FEEDS.firstRow]: tf.scalar(firstRow, 'int32'),
    [FEEDS.words]: tf.tensor1d(words, 'int32'),
  };
}
