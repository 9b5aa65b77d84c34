/**
 * The optimizer's step as part of a graph: the mean of the gradients, clipping and AdamW, on the session's variables in place. The norm of the gradients
 * is a run of its own, so that a step whose norm is not finite can be left out.
 */
import { BETAS, EPSILON } from '../optim/adamw.ts';
import { clipFactor } from '../optim/clip.ts';
import { type Scalar, tf } from '../tensorflow/tensorflow.ts';
import type { Update } from '../tuning/tuned-model.ts';
import { type Attribute, DType, type GraphNode, type Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import type { SessionVariable } from './session/session-variable.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

/** The session's variables for one trained slab, all in its shape. */
export interface TrainedVariables {
  parameter: SessionVariable;
  m: SessionVariable;
  v: SessionVariable;
  /** Sum of the gradients since the last update, which sets it to zero. */
  gradients: SessionVariable;
  /** Whether weight decay applies to it. */
  decays: boolean;
  /** What the learning rate is multiplied by. */
  rateFactor: number;
}

/** Names of the scalars fed to an update, because they change from step to step. */
const UPDATE_FEEDS = ['one_over_weight', 'norm', 'max_norm', 'rate', 'epsilon', 'decay'] as const;

export interface RecordedUpdate {
  /** Norm of the mean of the gradients, before clipping. */
  norm: Output;
  /** Fetching it takes the step; the norm is fed. */
  step: Output;
}

/**
 * Scalars with which the θ ← θ − rate·m / (√v + epsilon) of `ResourceApplyAdam` becomes AdamW's η·m̂ / (√v̂ + ε). The kernel rounds the betas to
 * f32, so the corrections do too: the mean of a constant gradient is then that gradient.
 * @param t number of steps, including this one
 * @param maxNorm 0 turns clipping off
 */
export function updateScalars(
  { t, norm, learningRate, maxNorm, weight }: Update & { t: number; norm: number },
  weightDecay: number,
): Record<(typeof UPDATE_FEEDS)[number], number> {
  const [first, second] = BETAS.map((beta) => 1 - Math.fround(beta) ** t) as [number, number];
  return {
    one_over_weight: 1 / weight,
    norm,
    max_norm: maxNorm === 0 ? Number.POSITIVE_INFINITY : maxNorm,
    rate: (learningRate * Math.sqrt(second)) / first,
    epsilon: EPSILON * Math.sqrt(second),
    decay: learningRate * weightDecay,
  };
}

/** The scalars that every update of a graph is fed. */
export type UpdateFeeds = Record<(typeof UPDATE_FEEDS)[number], Scalar>;

export const declareUpdateFeeds = (recorder: Recorder): UpdateFeeds =>
  Object.fromEntries(UPDATE_FEEDS.map((name) => [name, recorder.feed(name, 'float32', [])])) as UpdateFeeds;

interface UpdateOptions {
  /** λ; 0 adds nothing to the step. */
  weightDecay: number;
  /** Of the node; unique in the graph. */
  name: string;
}

export function recordUpdate(
  recorder: Recorder,
  feeds: UpdateFeeds,
  trained: readonly TrainedVariables[],
  { weightDecay, name }: UpdateOptions,
): RecordedUpdate {
  const { graph } = recorder;
  const decaying = weightDecay === 0 ? [] : trained.filter(({ decays }) => decays);
  const sums = trained.map(({ gradients }) => recorder.tensor(gradients.value));
  const parameters = decaying.map(({ parameter }) => recorder.tensor(parameter.value));
  let norm: Output | undefined;
  const clipped: Output[] = [];
  const decays = new Map<TrainedVariables, Output>();
  const rates = new Map<number, Output>();
  recorder.record(() =>
    tf.tidy(() => {
      const squares = tf.addN(sums.map((sum) => tf.sum(tf.square(sum)) as Scalar));
      const normOfMean: Scalar = tf.mul(tf.sqrt(squares), feeds.one_over_weight);
      norm = recorder.outputOf(normOfMean);
      const factor: Scalar = tf.mul(clipFactor(feeds.norm, feeds.max_norm), feeds.one_over_weight); // from the sum to the clipped mean
      for (const sum of sums) clipped.push(recorder.outputOf(tf.mul(sum, factor)));
      for (const [index, parameter] of parameters.entries()) {
        const factor = decaying[index]!.rateFactor;
        decays.set(decaying[index]!, recorder.outputOf(tf.mul(parameter, factor === 1 ? feeds.decay : tf.mul(feeds.decay, factor))));
      }
      for (const { rateFactor } of trained) rates.set(rateFactor, recorder.outputOf(rateFactor === 1 ? feeds.rate : tf.mul(feeds.rate, rateFactor)));
    }),
  );
  const scalar = (value: number) => graph.constant({ dtype: DType.float32, shape: [], bytes: new Uint8Array(Float32Array.of(value).buffer) });
  const flags: Record<string, Attribute> = { use_locking: { kind: 'bool', value: false }, use_nesterov: { kind: 'bool', value: false } };
  const resets: GraphNode[] = [];
  for (const [index, variables] of trained.entries()) {
    const { parameter, m, v, gradients } = variables;
    const stateful = { stateful: true };
    const decay = decays.get(variables);
    const decayed = decay === undefined ? [] : [graph.add('AssignSubVariableOp', { dtype: FLOAT }, [parameter.handle, decay], [], stateful)];
    // With powers of 0 for the betas, the kernel uses the rate as it is.
    const inputs = [parameter.handle, m.handle, v.handle, scalar(0), scalar(0), rates.get(variables.rateFactor)!];
    const rest = [scalar(BETAS[0]), scalar(BETAS[1]), recorder.outputOf(feeds.epsilon), clipped[index]!];
    const step = graph.add('ResourceApplyAdam', { T: FLOAT, ...flags }, [...inputs, ...rest], [], { ...stateful, after: decayed });
    const zeros = graph.add('ZerosLike', { T: FLOAT }, [gradients.value], [gradients.value]).outputs[0]!;
    resets.push(graph.add('AssignVariableOp', { dtype: FLOAT }, [gradients.handle, zeros], [], { ...stateful, after: [step] }));
  }
  const fed = recorder.outputOf(feeds.norm);
  const step = graph.add('Identity', { T: FLOAT }, [fed], [fed], { name, after: resets, stateful: true }).outputs[0]!;
  return { norm: norm!, step };
}
