/** Graphs before and after fusing, compared by what they compute. */
import { expect } from 'vitest';
import type { Graph, GraphNode, Output } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../../workers/engine/compiled/recording/recorder.ts';
import { fuseRows } from '../../../../../workers/engine/compiled/rewriting/fuse.ts';
import { GraphSession } from '../../../../../workers/engine/compiled/session/session.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

export const SIZE = 6;

export const matrix = (): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: SIZE * SIZE }, (_, index) => Math.cos(index)),
    [SIZE, SIZE],
  );

const input = (): Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: SIZE * SIZE }, (_, index) => 4 * Math.sin(index * 1.7)),
    [SIZE, SIZE],
  );

interface Recording<Name extends string> {
  graph: Graph;
  results: Record<Name, Output>;
}

interface Rewriting<Name extends string> {
  /** Code that gives results by name. @param x [6, 6] */
  body(x: Tensor2D): Record<Name, Tensor>;
  /** What is fetched together. */
  runs: NoInfer<Name>[][];
  /** Control dependencies between the nodes of results. */
  order?(results: Record<NoInfer<Name>, Output>): void;
}

function record<Name extends string>({ body, order }: Rewriting<Name>): Recording<Name> {
  const recorder = new Recorder();
  const fed = recorder.feed('x', 'float32', [SIZE, SIZE]) as Tensor2D;
  let results: Record<Name, Output> | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const named = Object.entries<Tensor>(body(fed)).map(([name, tensor]) => [name, recorder.outputOf(tensor)]);
      results = Object.fromEntries(named) as Record<Name, Output>;
    }),
  );
  recorder.dispose();
  order?.(results!);
  return { graph: recorder.graph, results: results! };
}

const fetchesOf = <Name extends string>({ results }: Recording<Name>, runs: Name[][]): Output[][] =>
  runs.map((run) => run.map((name) => results[name]));

/** @returns the numbers of each fetch of each run */
function numbers({ graph }: Recording<string>, runs: Output[][]): number[][][] {
  const session = new GraphSession(graph, runs.flat());
  const found = runs.map(
    (fetches) => tf.tidy(() => session.run({ x: input() }, fetches).map((tensor) => [...tensor.dataSync()])) as unknown as number[][],
  );
  session.dispose();
  return found;
}

/** Fuses the code's graph and checks that it still computes the same numbers. @returns the nodes of the results */
export function fusedNodes<Name extends string>(rewriting: Rewriting<Name>): Record<Name, GraphNode> {
  const [plain, rewritten] = [record(rewriting), record(rewriting)];
  const fetches = fetchesOf(rewritten, rewriting.runs);
  fuseRows(rewritten.graph, fetches);
  const wanted = numbers(plain, fetchesOf(plain, rewriting.runs)).flat(2);
  const got = numbers(rewritten, fetches).flat(2);
  expect(got.length).toBe(wanted.length);
  for (const [index, number] of got.entries()) expect(Math.abs(number - wanted[index]!) / Math.max(1, Math.abs(wanted[index]!))).toBeLessThan(1e-6);
  return Object.fromEntries(Object.entries<Output>(rewritten.results).map(([name, { node }]) => [name, node])) as Record<Name, GraphNode>;
}
