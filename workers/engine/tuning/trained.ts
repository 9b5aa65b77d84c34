/** What is trained: which variables, and how they join the base model. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Parameters } from '../model/parameters.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { hashWords } from './random.ts';

/** Names the random numbers of one micro-batch, so that the same place in a run always draws the same. */
export interface DropoutPosition {
  seed: number;
  step: number;
  microBatch: number;
}

/** @returns [2] int32, from which each place in the model draws its own */
export const dropoutKey = ({ seed, step, microBatch }: DropoutPosition): Tensor1D =>
  tf.tensor1d([hashWords(seed, step) | 0, hashWords(microBatch) | 0], 'int32');

export interface Trained {
  /** Sorted by name. */
  readonly trainable: ReadonlyMap<string, Variable>;
  /** The weights as one pass sees them; without a key there is no dropout. */
  parameters(key?: Tensor1D): Parameters;
}

/** Variables' names are unique in a process; these keep models apart. */
let variables = 0;

/** A trainable variable; takes the tensor over. */
export function variable(initial: Tensor): Variable {
  const made = tf.variable(initial, true, `trained/${variables++}`);
  initial.dispose();
  return made;
}

/** One linear layer's, as the checkpoint has them. */
interface LinearWeights {
  /** [out, in], or [in, out] */
  W: Tensor2D;
  /** [out] */
  b: Tensor1D | undefined;
  /** W is [in, out]. */
  inputFirst: boolean;
}

function linearWeights(weights: ReadonlyMap<string, Tensor>, module: string, { inputFirst }: Layout): LinearWeights {
  return { W: weights.get(`${module}.weight`) as Tensor2D, b: weights.get(`${module}.bias`) as Tensor1D | undefined, inputFirst };
}

type Layout = Pick<ModelConfig, 'inputFirst'>;

/** y = xWᵀ + b, b being optional. */
function plainLinear(x: Tensor2D, { W, b, inputFirst }: LinearWeights): Tensor2D {
  const y: Tensor2D = W instanceof tf.Variable ? tf.matMul(x, W as Tensor2D, false, !inputFirst) : frozenProduct(x, W, inputFirst);
  return b === undefined ? y : tf.add(y, b);
}

/** Sorted by name, so that sums over them have one order. */
export const byName = (trainable: ReadonlyMap<string, Variable>): Map<string, Variable> =>
  new Map([...trainable].sort(([a], [b]) => (a < b ? -1 : 1)));

/** The base model as it is. */
export const untuned = (weights: ReadonlyMap<string, Tensor>, layout: Layout): Trained => ({
  trainable: new Map(),
  parameters: () => plainParameters(weights, layout),
});

export function plainParameters(weights: ReadonlyMap<string, Tensor>, layout: Layout): Parameters {
  const linear = (module: string, x: Tensor2D): Tensor2D => within(module, () => plainLinear(x, linearWeights(weights, module, layout)));
  return { weight: (name) => weights.get(name)!, linear, linears: (modules, x) => modules.map((module) => linear(module, x)) };
}

/** y = xWᵀ, W frozen: dx = dy·W. */
function frozenProduct(x: Tensor2D, W: Tensor2D, inputFirst: boolean): Tensor2D {
  return differentiable<Tensor2D>([x], () => ({
    value: tf.matMul(x, W, false, !inputFirst),
    saved: [],
    gradient: (dy) => [tf.matMul(dy, W, false, inputFirst)],
  }));
}
