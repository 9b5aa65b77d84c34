/**
 * The optimizer's step as part of a graph: the mean of the gradients, clipping and AdamW, on the session's variables in place. The norm of the gradients
 * is a run of its own, so that a step whose norm is not finite can be left out.
 */
import { BETAS, EPSILON } from '../optim/adamw.ts';
import { clipFactor } from '../optim/clip.ts';
import { type Scalar, tf } from '../tensorflow/tensorflow.ts';
import type { Update } from '../tuning/tuned-model.ts';
import { isCoded, type MomentVariables, variablesOf } from './moments.ts';
import { type Attribute, DType, type GraphNode, type Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import type { SessionVariable } from './session/session-variable.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

/** The session's variables for one trained slab. */
export interface TrainedVariables {
  parameter: SessionVariable;
  /** Numbers of elements of the slab's parts. */
  sizes: readonly number[];
  m: MomentVariables;
  v: MomentVariables;
  /** Sum of the gradients since the last update, which sets it to zero. */
  gradients: SessionVariable;
  /** Whether our own kernels update it, which need no memory of their own; TensorFlow's do otherwise. */
  byOwnKernel: boolean;
  /** Whether weight decay applies to it. */
  decays: boolean;
  /** What the learning rate is multiplied by. */
  rateFactor: number;
}

/** Names of the scalars fed to an update, because they change from step to step. */
const UPDATE_FEEDS = ['one_over_weight', 'norm', 'max_norm', 'rate', 'epsilon', 'decay', 'plain_rate', 'second_correction'] as const;

export interface RecordedUpdate {
  /** Norm of the mean of the gradients, before clipping. */
  norm: Output;
  /** Fetching it takes the step; the norm is fed. */
  step: Output;
}

/**
 * Scalars with which the θ ← θ − rate·m / (√v + epsilon) of `ResourceApplyAdam` becomes AdamW's η·m̂ / (√v̂ + ε). The kernel rounds the betas to
 * f32, so the corrections do too: the mean of a constant gradient is then that gradient. Our own kernels compute
 * θ − plain_rate·m / (√v / second_correction + ε), with corrections that are not rounded, as bitsandbytes does.
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
    plain_rate: learningRate / (1 - BETAS[0] ** t),
    second_correction: Math.sqrt(1 - BETAS[1] ** t),
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
  const sums = trained.map(({ gradients }) => recorder.tensor(gradients.value));
  let norm: Output | undefined;
  let factor: Output | undefined; // from the sum of the gradients to their clipped mean
  const scaled = scaledFeeds(recorder, feeds, trained);
  recorder.record(() =>
    tf.tidy(() => {
      const squares = tf.addN(sums.map((sum) => tf.sum(tf.square(sum)) as Scalar));
      const normOfMean: Scalar = tf.mul(tf.sqrt(squares), feeds.one_over_weight);
      norm = recorder.outputOf(normOfMean);
      factor = recorder.outputOf(tf.mul(clipFactor(feeds.norm, feeds.max_norm), feeds.one_over_weight));
    }),
  );
  // One after the other, so that what comes and goes with a slab's update is in memory once.
  let done: GraphNode[] = [];
  for (const variables of trained) {
    const { gradients } = variables;
    const decays = weightDecay !== 0 && variables.decays;
    const rates = scaled.get(variables.rateFactor)!;
    const step = { gradient: gradients.value, factor: factor!, rates, decays, after: done };
    const { node: updated } = recordSlabUpdate(recorder, feeds, variables, step);
    const zeros = graph.add('ZerosLike', { T: FLOAT }, [gradients.value], [gradients.value], { after: [updated], stateful: true }).outputs[0]!;
    done = [graph.add('AssignVariableOp', { dtype: FLOAT }, [gradients.handle, zeros], [], { stateful: true })];
  }
  const fed = recorder.outputOf(feeds.norm);
  const step = graph.add('Identity', { T: FLOAT }, [fed], [fed], { name, after: done, stateful: true }).outputs[0]!;
  return { norm: norm!, step };
}

/** The feeds that learning rates are in, for the slabs of one factor. */
type Rates = Record<(typeof RATES)[number], Output>;
const RATES = ['rate', 'plain_rate', 'decay'] as const;

/** @returns by factor of the learning rate */
export function scaledFeeds(recorder: Recorder, feeds: UpdateFeeds, trained: readonly TrainedVariables[]): Map<number, Rates> {
  const scaled = new Map<number, Rates>();
  recorder.record(() =>
    tf.tidy(() => {
      for (const factor of new Set(trained.map(({ rateFactor }) => rateFactor))) {
        const outputs = RATES.map((feed) => [feed, recorder.outputOf(factor === 1 ? feeds[feed] : tf.mul(feeds[feed], factor))]);
        scaled.set(factor, Object.fromEntries(outputs) as Rates);
      }
    }),
  );
  return scaled;
}

interface SlabStep {
  /** [rows, 32] */
  gradient: Output;
  /** What the gradient is multiplied with. */
  factor: Output;
  rates: Rates;
  decays: boolean;
  /** What is to be done before. */
  after: GraphNode[];
  /** Of the error that ends the run before the slab is changed, if the gradient is not finite; only with our own kernels. */
  badGradient?: string;
}

interface SlabUpdate {
  /** It changes the slab's parameters and moments. */
  node: GraphNode;
  /** Sum of the gradient's squares, if it was checked with `badGradient`. */
  squares: Output | null;
}

export function recordSlabUpdate(recorder: Recorder, feeds: UpdateFeeds, variables: TrainedVariables, step: SlabStep): SlabUpdate {
  const { graph } = recorder;
  const { parameter, m, v } = variables;
  const { gradient, factor, rates, decays, after, badGradient = '' } = step;
  const scalar = (value: number) => graph.constant({ dtype: DType.float32, shape: [], bytes: new Uint8Array(Float32Array.of(value).buffer) });
  const stateful = { stateful: true };
  if (variables.byOwnKernel) {
    const coded = isCoded(m) && isCoded(v);
    const moments = coded ? [m.codes, m.absmax, v.codes, v.absmax] : [...variablesOf(m), ...variablesOf(v)];
    const handles = [parameter, ...moments].map(({ handle }) => handle);
    const scalars = [factor, rates.plain_rate, recorder.outputOf(feeds.second_correction), decays ? rates.decay : scalar(0)];
    const inputs = [...handles, gradient, ...(coded ? [graph.integers(variables.sizes)] : []), ...scalars];
    const attributes: Record<string, Attribute> = { ...CONSTANTS, bad_gradient: { kind: 'string', value: badGradient } };
    const result = { dtype: DType.float32, shape: [] };
    const node = graph.add(coded ? 'GraftAdamW8bit' : 'GraftAdamW', attributes, inputs, [result], { ...stateful, after });
    return { node, squares: badGradient === '' ? null : node.outputs[0]! };
  }
  if (isCoded(m) || isCoded(v)) throw new Error('TensorFlow has no AdamW with moments in 8 bits');
  const product = (x: Output, by: Output, before: GraphNode[]) =>
    graph.add('Mul', { T: FLOAT }, [x, by], [x], { ...stateful, after: before }).outputs[0]!;
  const clipped = product(gradient, factor, after);
  const decayed = decays
    ? [graph.add('AssignSubVariableOp', { dtype: FLOAT }, [parameter.handle, product(parameter.value, rates.decay, after)], [], stateful)]
    : [];
  // With powers of 0 for the betas, the kernel uses the rate as it is.
  const inputs = [parameter.handle, m.handle, v.handle, scalar(0), scalar(0), rates.rate];
  const rest = [scalar(BETAS[0]), scalar(BETAS[1]), recorder.outputOf(feeds.epsilon), clipped];
  const flags: Record<string, Attribute> = { use_locking: { kind: 'bool', value: false }, use_nesterov: { kind: 'bool', value: false } };
  const node = graph.add('ResourceApplyAdam', { T: FLOAT, ...flags }, [...inputs, ...rest], [], { ...stateful, after: decayed });
  return { node, squares: null };
}

const float = (value: number): Attribute => ({ kind: 'float', value });
/** Of our own kernels. 1 − β in double precision, as PyTorch and bitsandbytes round it. */
const CONSTANTS: Record<string, Attribute> = {
  beta1: float(BETAS[0]),
  one_minus_beta1: float(1 - BETAS[0]),
  beta2: float(BETAS[1]),
  one_minus_beta2: float(1 - BETAS[1]),
  epsilon: float(EPSILON),
};
