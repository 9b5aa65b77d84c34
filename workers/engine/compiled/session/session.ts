/** Runs a graph as a whole in TensorFlow. The session keeps the graph's variables from run to run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HeldFloats } from '../../io/float-formats.ts';
import { backend } from '../../tensorflow/backend.ts';
import { type Tensor, tf } from '../../tensorflow/tensorflow.ts';
import type { Graph, GraphNode, Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { savedModel } from './saved-model.ts';
import type { SessionVariable } from './session-variable.ts';
import { recordWrite, type Write, writeFeeds } from './write-variable.ts';

export class GraphSession {
  readonly #id: number;
  readonly #write: Write | null;
  #open = true;

  /**
   * @param graph   only the part that the fetches need is loaded
   * @param fetches everything that any run will ask for
   * @throws Error with TensorFlow's message if it refuses a node
   */
  constructor(graph: Graph, fetches: Iterable<Output>) {
    this.#write = backend.isUsingGpuDevice ? null : recordWrite(graph);
    const written = this.#write === null ? [] : [this.#write.written];
    const { bytes, tag } = savedModel(neededNodes(graph, [...fetches, ...written]));
    const dir = mkdtempSync(join(tmpdir(), 'graft-graph-'));
    try {
      writeFileSync(join(dir, 'saved_model.pb'), bytes);
      this.#id = backend.binding.loadSavedModel(dir, tag);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  /**
   * The first run with a set of feeds and fetches takes longer, because TensorFlow prepares it.
   * @param feeds by placeholder; the caller still owns them
   * @returns a tensor for each fetch, owned by the caller
   */
  run(feeds: Readonly<Record<string, Tensor>>, fetches: readonly Output[]): Tensor[] {
    const names = Object.keys(feeds);
    const ids = backend.getInputTensorIds(Object.values(feeds));
    const wanted = fetches.map(({ node, index }) => `${node.name}:${index}`);
    const results = backend.binding.runSavedModel(this.#id, ids, names.map((name) => `${name}:0`).join(), wanted.join());
    return results.map((result) => backend.createOutputTensor(result));
  }

  /**
   * Sets rows of a variable, on a CPU. Its other rows are undefined until they are set too.
   * @param rows.values row-major, in the variable's `heldClass`; whole rows of a multiple of four bytes. Without any, all of the variable becomes zero
   */
  write(variable: SessionVariable, rows: { firstRow: number; values: HeldFloats | Int32Array }): void {
    if (this.#write === null) throw new Error('a GPU’s variables are not written in parts');
    const feeds = writeFeeds(variable, rows);
    tf.dispose([...this.run(feeds, [this.#write.written]), ...Object.values(feeds)]);
  }

  /** Sets variables to zeros. */
  zero(variables: readonly SessionVariable[]): void {
    const zeroed = variables.map(({ zeroed }) => zeroed);
    if (this.#write === null) {
      // TensorFlow refuses a run that asks for nothing.
      if (zeroed.length > 0) tf.dispose(this.run({}, zeroed));
    } else for (const variable of variables) this.write(variable, { firstRow: 0, values: new Float32Array(0) });
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
  // Callers feed the same placeholders to every run, whether a fetch needs them or not.
  return graph.nodes.filter((node) => needed.has(node) || lookUp(node.op).fed);
}
