/**
 * Decides which tensors the backward pass reads from memory and which it computes again. A tensor of the forward pass that the backward pass reads
 * stays in memory in between, and for many tensors this costs more than recomputing them. A minimum cut finds the cheapest set to keep (as in
 * PyTorch's AOTAutograd), and the backward pass is rewritten to recompute the others. With checkpoints (Chen et al. 2016) it recomputes all else,
 * products too.
 */
import { DType, type Graph, type GraphNode, type Output } from '../recording/graph.ts';
import { lookUp } from '../recording/operations.ts';
import { FlowNetwork } from './minimum-cut.ts';
import { spaceOf } from './row-program.ts';

/** A tensor that more parts of the model read, such as a mask or a rotary table, is kept: each part would compute it again. */
const SHARED_BY_PARTS = 4;

/** Keeping its results costs nothing: they are in memory during the whole run, or are views of such tensors. */
function isFree({ op, inputs }: GraphNode): boolean {
  const { held = false, view = false } = lookUp(op);
  return held || (view && isFree(inputs[0]!.node));
}

const ELEMENT_BYTES: Readonly<Record<number, number>> = { [DType.float32]: 4, [DType.int32]: 4, [DType.bool]: 1, [DType.bfloat16]: 2 };

export interface BackwardPass {
  /** How many nodes the graph had after the forward pass was recorded. */
  begin: number;
  /** How many it had after the backward pass. */
  end: number;
  /** null: only cheap operations are computed again. */
  checkpoints: ReadonlySet<Output> | null;
}

/**
 * Rewrites the backward pass in place; the nodes that it adds come after their readers. Operations over rows are computed again for each stage that
 * reads them, because they will be fused with their readers. All others are computed again once.
 */
export function recompute(graph: Graph, { begin, end, checkpoints }: BackwardPass): void {
  const late = lateNodes(graph.nodes.slice(begin, end));
  const shared = sharedOutputs(graph.nodes.slice(0, begin));
  const mayRecompute = (output: Output): boolean => !shared.has(output) && (checkpoints === null ? isCheap(output) : isBetween(checkpoints, output));
  const kept = cheapestToKeep(late, mayRecompute);
  const once = new Map<Output, Output>();
  const perStage = new Map<GraphNode, Map<Output, Output>>();

  /** @param stage the node to wait for: without one TensorFlow would recompute everything early, and at once */
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
    // Operations over rows belong to the stage before them: they will be fused into one operation.
    stages.set(node, stage === undefined || spaceOf(node) === null ? node : stage);
  }
}

function sharedOutputs(nodes: readonly GraphNode[]): Set<Output> {
  const parts = new Map<Output, Set<string>>();
  for (const { inputs, scope } of nodes) for (const input of inputs) parts.set(input, (parts.get(input) ?? new Set()).add(scope));
  return new Set([...parts].filter(([, scopes]) => scopes.size > SHARED_BY_PARTS).map(([output]) => output));
}

/** @returns the nodes that depend on the gradient of the loss. The others read the forward pass alone, and could run during it */
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

/** @returns the smallest tensors, together, from which everything that the late nodes read can be recomputed */
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
