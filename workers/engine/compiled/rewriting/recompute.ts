/**
 * What the backward half of a pass reads of the forward half is in memory from the one to the other. Much of it is computed faster again than kept:
 * this decides which tensors to keep, as a minimum cut (as PyTorch's AOTAutograd does), and rewrites the backward half to compute the others anew.
 * With checkpoints (Chen et al. 2016) everything else is computed again, products too.
 */
import { DType, type Graph, type GraphNode, type Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { FlowNetwork } from './minimum-cut.ts';
import { spaceOf } from './row-program.ts';

/** What more parts of the model read, such as masks and rotary tables, would be computed again for each of them. */
const SHARED_BY_PARTS = 4;

/** Held for the whole run anyway, or a view of what is. */
function isFree({ op, inputs }: GraphNode): boolean {
  const { held = false, view = false } = lookUp(op);
  return held || (view && isFree(inputs[0]!.node));
}

const ELEMENT_BYTES: Readonly<Record<number, number>> = { [DType.float32]: 4, [DType.int32]: 4, [DType.bool]: 1, [DType.bfloat16]: 2 };

export interface BackwardHalf {
  /** How many nodes the graph had when the forward half was recorded. */
  begin: number;
  /** How many it had after the backward half. */
  end: number;
  /** null: only what is cheap is computed again. */
  checkpoints: ReadonlySet<Output> | null;
}

/**
 * Rewrites the backward half in place. Nodes it adds stand after those that read them. What rows of fused operations cost nothing is computed again for
 * each of the stages that read it; anything else once.
 */
export function recompute(graph: Graph, { begin, end, checkpoints }: BackwardHalf): void {
  const late = lateNodes(graph.nodes.slice(begin, end));
  const shared = sharedOutputs(graph.nodes.slice(0, begin));
  const mayRecompute = (output: Output): boolean => !shared.has(output) && (checkpoints === null ? isCheap(output) : isBetween(checkpoints, output));
  const kept = cheapestToKeep(late, mayRecompute);
  const once = new Map<Output, Output>();
  const perStage = new Map<GraphNode, Map<Output, Output>>();

  /** @param stage what must have been computed before: without it TensorFlow would compute everything at once, early */
  const anew = (output: Output, stage: GraphNode): Output => {
    const { node, index } = output;
    if (kept.has(output) || isFree(node) || !mayRecompute(output) || late.has(node)) return output;
    const again = spaceOf(node) === null ? once : (perStage.get(stage) ?? new Map<Output, Output>());
    if (again !== once) perStage.set(stage, again);
    const known = again.get(output);
    if (known !== undefined) return known;
    const inputs = node.inputs.map((input) => anew(input, stage));
    const after = inputs.every((input, position) => input === node.inputs[position]) ? [stage] : [];
    const twin = graph.add(node.op, Object.fromEntries(node.attributes), inputs, node.outputs, { after, stateful: true, scope: node.scope });
    for (const [position, original] of node.outputs.entries()) if (!kept.has(original)) again.set(original, twin.outputs[position]!);
    return twin.outputs[index]!;
  };

  const order = new Map([...late].map((node, index) => [node, index]));
  const stages = new Map<GraphNode, GraphNode>();
  for (const node of late) {
    const before = node.inputs.flatMap((input) => (late.has(input.node) ? [stages.get(input.node)!] : []));
    const stage = before.toSorted((a, b) => order.get(a)! - order.get(b)!).at(-1);
    if (stage !== undefined) node.inputs = node.inputs.map((input) => anew(input, stage));
    // A chain of fused operations is one stage: that of what it begins with.
    stages.set(node, stage === undefined || spaceOf(node) === null ? node : stage);
  }
}

function sharedOutputs(nodes: readonly GraphNode[]): Set<Output> {
  const parts = new Map<Output, Set<string>>();
  for (const { inputs, scope } of nodes) for (const input of inputs) parts.set(input, (parts.get(input) ?? new Set()).add(scope));
  return new Set([...parts].filter(([, scopes]) => scopes.size > SHARED_BY_PARTS).map(([output]) => output));
}

/** Those that come of the loss's gradient; the others only look at the forward half and could run with it. */
function lateNodes(nodes: readonly GraphNode[]): Set<GraphNode> {
  const first = nodes.find((node) => !isFree(node));
  const late = new Set<GraphNode>(first === undefined ? [] : [first]);
  for (const node of nodes) if (node.inputs.some((input) => late.has(input.node))) late.add(node);
  return late;
}

function isBetween(checkpoints: ReadonlySet<Output>, output: Output): boolean {
  return !checkpoints.has(output) && output.node.after.length === 0 && !isFree(output.node);
}

function isCheap({ node }: Output): boolean {
  if (node.after.length > 0) return false;
  const { cheap = false } = lookUp(node.op);
  return typeof cheap === 'boolean' ? cheap : cheap(node);
}

/** @returns the tensors that together are smallest and from which the late nodes' inputs can be had cheaply */
function cheapestToKeep(late: ReadonlySet<GraphNode>, mayRecompute: (output: Output) => boolean): Set<Output> {
  const network = new FlowNetwork();
  const gates = new Map<Output, { enter: number; leave: number }>();
  const gate = (output: Output): { enter: number; leave: number } => {
    const known = gates.get(output);
    if (known !== undefined) return known;
    const made = { enter: network.vertex(), leave: network.vertex() };
    gates.set(output, made);
    network.connect(made.enter, made.leave, bytesOf(output));
    if (!mayRecompute(output)) network.connect(network.source, made.enter, Number.POSITIVE_INFINITY);
    else for (const input of output.node.inputs) if (!isFree(input.node)) network.connect(gate(input).leave, made.enter, Number.POSITIVE_INFINITY);
    return made;
  };
  for (const node of late) {
    for (const input of node.inputs) {
      if (!late.has(input.node) && !isFree(input.node)) network.connect(gate(input).leave, network.sink, Number.POSITIVE_INFINITY);
    }
  }
  const behind = network.behindMinimumCut();
  return new Set([...gates].filter(([, { enter, leave }]) => !behind.has(enter) && behind.has(leave)).map(([output]) => output));
}

const bytesOf = ({ shape, dtype }: Output): number => shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype] ?? 4);
