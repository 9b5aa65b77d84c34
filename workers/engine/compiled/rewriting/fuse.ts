/**
 * Replaces chains of operations over rows by one operation each, GraftFusedRows. Their intermediate results then stay in the cache.
 *
 * The order in which the graph could run decides what is fused. It is played through in turns. First, operations that cannot be fused run until none
 * of them is ready. Then a wave runs: operations that can be fused, are ready or become so within the wave, and are needed before more of the others
 * can run. Connected operations of a wave form a cluster. All that a cluster waits for ran before its wave, so no cluster waits for itself.
 * Operations that are not needed yet are left for a later wave, where they can join the cluster that reads them.
 */
import type { Attribute, Graph, GraphNode, Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { rowShape, spaceOf, writeProgram } from './row-program.ts';

/** A program for a single operation is no faster than the operation, except where the table says so. */
const worthIt = (members: readonly GraphNode[]): boolean => members.length > 1 || lookUp(members[0]!.op).rows?.worthItAlone === true;

/** Connected nodes of a wave. Clusters form a forest (union-find): a node belongs to the root above the cluster that it was given. */
interface Cluster {
  parent: Cluster | null;
  /** The shape of the rows; null while all nodes have one number a row. */
  space: readonly number[] | null;
}

/**
 * Rewrites the graph in place.
 * @param runs what is fetched together. Nodes that different runs need are kept apart, so that no run computes what only another needs
 */
export function fuseRows(graph: Graph, runs: readonly (readonly Output[])[]): void {
  const wantedBy = new Map<GraphNode, string>();
  for (const [index, run] of runs.entries()) for (const node of nodesBehind(run)) wantedBy.set(node, `${wantedBy.get(node) ?? ''} ${index}`);
  const readers = new Map<Output, GraphNode[]>();
  for (const node of wantedBy.keys()) for (const input of new Set(node.inputs)) readers.set(input, [...(readers.get(input) ?? []), node]);
  const fetched = new Set(runs.flat());
  const fused = new Map<GraphNode, GraphNode>();
  for (const { members, space } of clustersOf(wantedBy)) {
    if (!worthIt(members)) continue;
    const inside = new Set(members);
    const results = members.flatMap(({ outputs }) =>
      outputs.filter((output) => fetched.has(output) || (readers.get(output) ?? []).some((reader) => !inside.has(reader))),
    );
    const node = asOne(graph, members, { results, space });
    for (const member of members) fused.set(member, node);
  }
  for (const node of graph.nodes) {
    if (node.after.some((earlier) => fused.has(earlier))) node.after = [...new Set(node.after.map((earlier) => fused.get(earlier) ?? earlier))];
  }
}

function nodesBehind(outputs: readonly Output[]): Set<GraphNode> {
  const found = new Set<GraphNode>();
  const waiting = outputs.map(({ node }) => node);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    waiting.push(...predecessors(node));
  }
  return found;
}

const predecessors = ({ inputs, after }: GraphNode): GraphNode[] => [...new Set([...inputs.map(({ node }) => node), ...after])];

interface FoundCluster {
  members: GraphNode[];
  space: readonly number[];
}

function clustersOf(wantedBy: ReadonlyMap<GraphNode, string>): FoundCluster[] {
  const missing = new Map<GraphNode, number>();
  const successors = new Map<GraphNode, GraphNode[]>();
  const ready: GraphNode[] = []; // that cannot be fused
  for (const node of wantedBy.keys()) {
    const before = predecessors(node);
    missing.set(node, before.length);
    if (before.length === 0) ready.push(node);
    for (const earlier of before) {
      const known = successors.get(earlier);
      if (known === undefined) successors.set(earlier, [node]);
      else known.push(node);
    }
  }
  const waiting = new Set<GraphNode>(); // ready, and can be fused
  const enqueue = (nodes: readonly GraphNode[]): void => {
    for (const node of nodes) {
      if (spaceOf(node) === null) ready.push(node);
      else waiting.add(node);
    }
  };
  /** @returns the nodes that are ready once this one has run */
  const complete = (node: GraphNode, counts: Map<GraphNode, number>): GraphNode[] =>
    (successors.get(node) ?? []).filter((next) => {
      const count = (counts.get(next) ?? missing.get(next)!) - 1;
      counts.set(next, count);
      return count === 0;
    });

  /** The number of rows, and the runs that need the node. */
  const kind = (node: GraphNode): string => `${rowShape(spaceOf(node)!)} ${wantedBy.get(node)}`;
  const clusters: FoundCluster[] = [];
  enqueue(ready.splice(0));
  while (ready.length > 0 || waiting.size > 0) {
    for (let node = ready.pop(); node !== undefined; node = ready.pop()) enqueue(complete(node, missing));
    const wave = new Map<GraphNode, Cluster>();
    for (const node of nextWave(waiting, kind, complete)) {
      if (missing.get(node) !== 0) continue; // it reads one that is left for a later wave
      const cluster = joined(node, wave);
      if (cluster === null) continue; // left for a later wave
      wave.set(node, cluster);
      waiting.delete(node);
      enqueue(complete(node, missing));
    }
    clusters.push(...rootsOf(wave));
  }
  return clusters;
}

/**
 * @param waiting nodes that are ready and can be fused
 * @param kind    nodes of different kinds are never in one cluster
 * @returns which of them, and of those that become ready after them, are needed before a node that cannot be fused is ready; all of them if there is
 *   no such node. Each comes after those that it reads
 */
function nextWave(
  waiting: Iterable<GraphNode>,
  kind: (node: GraphNode) => string,
  complete: (node: GraphNode, counts: Map<GraphNode, number>) => GraphNode[],
): GraphNode[] {
  const counts = new Map<GraphNode, number>();
  const possible = new Set(waiting);
  const others: GraphNode[] = [];
  /** How many waves must run before a node's own: one for each change of kind on the way to it. */
  const wavesBefore = new Map<GraphNode, number>();
  for (const node of possible) {
    const before = predecessors(node).filter((earlier) => possible.has(earlier));
    wavesBefore.set(node, Math.max(0, ...before.map((earlier) => wavesBefore.get(earlier)! + (kind(earlier) === kind(node) ? 0 : 1))));
    for (const next of complete(node, counts)) {
      if (spaceOf(next) === null) others.push(next);
      else possible.add(next);
    }
  }
  const needed = new Set<GraphNode>();
  const behind = others.length === 0 ? [...possible] : others.flatMap(predecessors);
  for (let node = behind.pop(); node !== undefined; node = behind.pop()) {
    if (!possible.has(node) || needed.has(node)) continue;
    needed.add(node);
    // A node of the same kind that could run in an earlier wave waits for this one's, to be fused with it.
    for (const earlier of predecessors(node))
      if (possible.has(earlier) && (wavesBefore.get(earlier) === wavesBefore.get(node) || kind(earlier) !== kind(node))) behind.push(earlier);
  }
  return [...possible].filter((node) => needed.has(node) && wavesBefore.get(node) === 0);
}

function rootsOf(wave: ReadonlyMap<GraphNode, Cluster>): FoundCluster[] {
  const members = new Map<Cluster, GraphNode[]>();
  for (const [node, cluster] of wave) {
    const root = rootOf(cluster);
    members.set(root, [...(members.get(root) ?? []), node]);
  }
  return [...members].flatMap(([{ space }, nodes]) => (space === null ? [] : [{ members: nodes, space }]));
}

/** @returns a cluster that unites the node with the clusters of the wave that it waits for; null if they cannot be one */
function joined(node: GraphNode, wave: ReadonlyMap<GraphNode, Cluster>): Cluster | null {
  const space = spaceOf(node)!;
  const own: Cluster = { parent: null, space: space.at(-1) === 1 ? null : space };
  const before = [...new Set(predecessors(node).flatMap((earlier) => (wave.has(earlier) ? [rootOf(wave.get(earlier)!)] : [])))];
  const spaces = new Set([own, ...before].flatMap(({ space }) => (space === null ? [] : [space.join()])));
  if (spaces.size > 1) return null;
  // Only reading unites, not a control dependency alone.
  if (!node.inputs.some((input) => wave.has(input.node)) && before.length > 0) return null;
  for (const cluster of before) {
    own.space ??= cluster.space;
    cluster.parent = own;
  }
  return own;
}

function rootOf(cluster: Cluster): Cluster {
  let root = cluster;
  while (root.parent !== null) root = root.parent;
  return root;
}

function asOne(graph: Graph, members: readonly GraphNode[], { results, space }: { results: Output[]; space: readonly number[] }): GraphNode {
  const { text, inputs } = writeProgram(members, results, space);
  const inside = new Set(members);
  const attributes: Record<string, Attribute> = {
    program: { kind: 'string', value: text },
    Tin: { kind: 'types', value: inputs.map(({ dtype }) => dtype) },
    Tout: { kind: 'types', value: results.map(({ dtype }) => dtype) },
  };
  const after = [...new Set(members.flatMap((member) => member.after))].filter((earlier) => !inside.has(earlier));
  const node = graph.add('GraftFusedRows', attributes, inputs, results, { after, stateful: true, scope: members[0]!.scope });
  for (const [index, result] of results.entries()) {
    result.node = node;
    result.index = index;
  }
  node.outputs = results;
  return node;
}
