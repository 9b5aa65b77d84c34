/**
 * An optimizer's step within the backward pass (torchtune's `optimizer_in_bwd`; LOMO, Lv et al. 2023): each slab is updated as soon as its gradients exist, which
 * are then freed, so that there is no second copy of what is trained. Nothing is clipped, because the norm is known only at the end.
 */
import { type Scalar, tf } from '../tensorflow/tensorflow.ts';
import { recordSlabUpdate, scaledFeeds, type UpdateFeeds } from './adamw-update.ts';
import type { TrainedSlab } from './learner.ts';
import type { RecordedPass } from './recorded-pass.ts';
import { type Attribute, DType, type Graph, type GraphNode, type Output } from './recording/graph.ts';
import { lookUp } from './recording/operations.ts';
import type { Recorder } from './recording/recorder.ts';
import { join, type Slab } from './slab.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

/** Messages of the runs that are ended before they change more. */
export const BAD_LOSS = 'the loss is not finite';
export const BAD_GRADIENT = 'a gradient is not finite';

export interface BackwardUpdate {
  /** Those of the pass; fetching the loss also takes the step. */
  sums: RecordedPass['sums'];
  /** Of the mean of the gradients. */
  norm: Output;
}

interface Options {
  pass: RecordedPass;
  /** λ; 0 adds nothing to the step. */
  weightDecay: number;
}

/**
 * A run that fetches it fails with BAD_LOSS before anything is changed if the loss is not finite, and with BAD_GRADIENT before a slab is changed
 * whose gradients are not, when others have been.
 */
export function recordBackwardUpdate(
  recorder: Recorder,
  feeds: UpdateFeeds,
  trained: readonly TrainedSlab[],
  { pass, weightDecay }: Options,
): BackwardUpdate {
  const { graph } = recorder;
  const readers = readersOf(graph, [pass.sums['loss']!, ...pass.gradients.values()]);
  const scaled = scaledFeeds(
    recorder,
    feeds,
    trained.map(({ learning }) => learning!),
  );
  const loss = checked(graph, pass.sums['loss']!, BAD_LOSS);
  const factor = recorder.outputOf(feeds.one_over_weight);
  const squares: Output[] = [];
  const updates = trained.map(({ slab, variable, learning }) => {
    const [gradient, square] = gradientOf(recorder, slab, pass.gradients);
    // Who reads a variable keeps what it was, and it would be copied.
    const after = [loss.node, ...readers(variable.value)];
    const decays = weightDecay !== 0 && learning!.decays;
    const step = { gradient, factor, rates: scaled.get(learning!.rateFactor)!, decays };
    if (learning!.byOwnKernel) {
      const { node, squares: found } = recordSlabUpdate(recorder, feeds, learning!, { ...step, after, badGradient: BAD_GRADIENT });
      squares.push(found!);
      return node;
    }
    const finite = checked(graph, square, BAD_GRADIENT);
    squares.push(finite);
    return recordSlabUpdate(recorder, feeds, learning!, { ...step, after: [...after, finite.node] }).node;
  });
  let norm: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const sum = tf.addN(squares.map((square) => recorder.tensor(square) as Scalar));
      norm = recorder.outputOf(tf.mul(tf.sqrt(sum), feeds.one_over_weight));
    }),
  );
  const done = graph.add('Identity', { T: FLOAT }, [loss], [loss], { name: 'training-step', after: updates, stateful: true }).outputs[0]!;
  return { sums: { ...pass.sums, loss: done }, norm: norm! };
}

/** @returns a slab's gradient [rows, 32], and the sum of its squares */
function gradientOf(recorder: Recorder, slab: Slab, gradients: RecordedPass['gradients']): [Output, Output] {
  let outputs: [Output, Output] | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const joined = join(slab, (name) => recorder.tensor(gradients.get(name)!));
      outputs = [recorder.outputOf(joined), recorder.outputOf(tf.sum(tf.square(joined)))];
    }),
  );
  return outputs!;
}

/** @returns x, from a node that ends the run with the message if x is NaN or infinite */
function checked(graph: Graph, x: Output, message: string): Output {
  const attributes: Record<string, Attribute> = { T: FLOAT, message: { kind: 'string', value: message } };
  return graph.add('CheckNumerics', attributes, [x], [x], { stateful: true }).outputs[0]!;
}

/** @returns the nodes of a pass that compute with a value, directly or with a view of it. @param results of the pass */
function readersOf(graph: Graph, results: readonly Output[]): (value: Output) => GraphNode[] {
  const needed = new Set<GraphNode>();
  const waiting = results.map(({ node }) => node);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    waiting.push(...node.inputs.map((input) => input.node), ...node.after);
  }
  const direct = new Map<Output, GraphNode[]>();
  for (const node of graph.nodes) if (needed.has(node)) for (const input of node.inputs) direct.set(input, [...(direct.get(input) ?? []), node]);
  return (value) => {
    const readers = new Set<GraphNode>();
    const seen = [value];
    for (let output = seen.pop(); output !== undefined; output = seen.pop())
      for (const node of direct.get(output) ?? []) {
        if (lookUp(node.op).view || node.op === 'Identity') seen.push(...node.outputs);
        else readers.add(node);
      }
    return [...readers];
  };
}
