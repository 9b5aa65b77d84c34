/** The optimizer's step inside a graph: gradients' mean, clipping and AdamW on variables of the session, in place. */
import { BETAS, EPSILON } from '../optim/adamw.ts';
import { clipFactor } from '../optim/clip.ts';
import { type Scalar, tf } from '../tensorflow/tensorflow.ts';
import type { Update } from '../tuning/tuned-model.ts';
import { type Attribute, DType, type GraphNode, type Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import type { SessionVariable } from './session/session-variable.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

/** Everything of one parameter that lives in the session, in its shape. */
export interface TrainedVariables {
  parameter: SessionVariable;
  m: SessionVariable;
  v: SessionVariable;
  /** The gradients since the last update, summed; zero again after it. */
  gradients: SessionVariable;
}

/** Names of the scalars that an update is fed: what changes from step to step is no part of a graph. */
export const UPDATE_FEEDS = ['one_over_weight', 'max_norm', 'rate', 'epsilon', 'decay'] as const;

/**
 * What `ResourceApplyAdam` is to be fed so that its θ ← θ − rate·m / (√v + epsilon) is AdamW's η·m̂ / (√v̂ + ε). The kernel computes with f32's
 * betas, and so do the corrections: the mean of a constant gradient is then that gradient.
 * @param t steps taken, this one included
 * @param maxNorm 0 turns clipping off
 */
export function updateScalars(
  { t, learningRate, maxNorm, weight }: Update & { t: number },
  weightDecay: number,
): Record<(typeof UPDATE_FEEDS)[number], number> {
  const [first, second] = BETAS.map((beta) => 1 - Math.fround(beta) ** t) as [number, number];
  return {
    one_over_weight: 1 / weight,
    max_norm: maxNorm === 0 ? Number.POSITIVE_INFINITY : maxNorm,
    rate: (learningRate * Math.sqrt(second)) / first,
    epsilon: EPSILON * Math.sqrt(second),
    decay: learningRate * weightDecay,
  };
}

/** @returns the norm before clipping, which is fetched to take the step */
export function recordUpdate(recorder: Recorder, trained: readonly TrainedVariables[], { decays: decay }: { decays: boolean }): Output {
  const { graph } = recorder;
  const fed = Object.fromEntries(UPDATE_FEEDS.map((name) => [name, recorder.feed(name, 'float32', [])])) as Record<
    (typeof UPDATE_FEEDS)[number],
    Scalar
  >;
  const sums = trained.map(({ gradients }) => recorder.tensor(gradients.value));
  const parameters = trained.map(({ parameter }) => recorder.tensor(parameter.value));
  let norm: Output | undefined;
  const clipped: Output[] = [];
  const decays: Output[] = [];
  recorder.record(() =>
    tf.tidy(() => {
      const squares = tf.addN(sums.map((sum) => tf.sum(tf.square(sum)) as Scalar));
      const length: Scalar = tf.mul(tf.sqrt(squares), fed.one_over_weight);
      norm = recorder.outputOf(length);
      const factor: Scalar = tf.mul(clipFactor(length, fed.max_norm), fed.one_over_weight); // the mean's, clipped
      for (const sum of sums) clipped.push(recorder.outputOf(tf.mul(sum, factor)));
      if (decay) for (const parameter of parameters) decays.push(recorder.outputOf(tf.mul(parameter, fed.decay)));
    }),
  );
  const scalar = (value: number) => graph.constant({ dtype: DType.float32, shape: [], bytes: new Uint8Array(Float32Array.of(value).buffer) });
  const flags: Record<string, Attribute> = { use_locking: { kind: 'bool', value: false }, use_nesterov: { kind: 'bool', value: false } };
  const last: GraphNode[] = [];
  for (const [index, { parameter, m, v, gradients }] of trained.entries()) {
    const stateful = { stateful: true };
    const decayed = decay ? [graph.add('AssignSubVariableOp', { dtype: FLOAT }, [parameter.handle, decays[index]!], [], stateful)] : [];
    // Powers of 0 leave the rate as it is fed.
    const inputs = [parameter.handle, m.handle, v.handle, scalar(0), scalar(0), recorder.outputOf(fed.rate)];
    const rest = [scalar(BETAS[0]), scalar(BETAS[1]), recorder.outputOf(fed.epsilon), clipped[index]!];
    const step = graph.add('ResourceApplyAdam', { T: FLOAT, ...flags }, [...inputs, ...rest], [], { ...stateful, after: decayed });
    const zeros = graph.add('ZerosLike', { T: FLOAT }, [gradients.value], [gradients.value]).outputs[0]!;
    last.push(graph.add('AssignVariableOp', { dtype: FLOAT }, [gradients.handle, zeros], [], { ...stateful, after: [step] }));
  }
  return graph.add('Identity', { T: FLOAT }, [norm!], [norm!], { name: 'update', after: last, stateful: true }).outputs[0]!;
}
