/** A graph, run by TensorFlow as a whole. Its variables live in the session from run to run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backend } from '../../tensorflow/backend.ts';
import type { Tensor } from '../../tensorflow/tensorflow.ts';
import type { Graph, GraphNode, Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { savedModel } from './saved-model.ts';

/** Hands a tensor's numbers to TensorFlow now instead of when it is first used: JavaScript's copy need not wait. @returns the tensor */
export function uploaded<T extends Tensor>(tensor: T): T {
  backend.getInputTensorIds([tensor]);
  return tensor;
}

export class GraphSession {
  readonly #id: number;
  #open = true;

  /**
   * @param graph of which only what the fetches need is taken
   * @param fetches all that will ever be asked for
   * @throws Error what TensorFlow says of a node that is wrong
   */
  constructor(graph: Graph, fetches: Iterable<Output>) {
    const { bytes, tag } = savedModel(neededNodes(graph, fetches));
    const dir = mkdtempSync(join(tmpdir(), 'graft-graph-'));
    try {
      writeFileSync(join(dir, 'saved_model.pb'), bytes);
      this.#id = backend.binding.loadSavedModel(dir, tag);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  /**
   * The first run of the same feeds and fetches prepares them, which takes longer.
   * @param feeds by the placeholders' names; remain the caller's
   * @returns a tensor for each fetch, the caller's
   */
  run(feeds: Readonly<Record<string, Tensor>>, fetches: readonly Output[]): Tensor[] {
    const names = Object.keys(feeds);
    const ids = backend.getInputTensorIds(Object.values(feeds));
    const wanted = fetches.map(({ node, index }) => `${node.name}:${index}`);
    const results = backend.binding.runSavedModel(this.#id, ids, names.map((name) => `${name}:0`).join(), wanted.join());
    return results.map((result) => backend.createOutputTensor(result));
  }

  dispose(): void {
    if (this.#open) backend.binding.deleteSavedModel(this.#id);
    this.#open = false;
  }
}

function neededNodes(graph: Graph, fetches: Iterable<Output>): GraphNode[] {
  const needed = new Set<GraphNode>();
  const waiting = [...fetches].map(({ node }) => node);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    waiting.push(...node.inputs.map((input) => input.node), ...node.after);
  }
  // What is fed is there to be fed, also when nothing reads it.
  return graph.nodes.filter((node) => needed.has(node) || lookUp(node.op).fed);
}
