/** What is trained: which variables, and how they join the base model. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { expertProducts } from '../model/expert-products.ts';
import type { Parameters } from '../model/parameters.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { hashWords } from './random.ts';

/** Position of a micro-batch in a run. It determines the random numbers, so that the same position always draws the same ones. */
export interface DropoutPosition {
  seed: number;
  step: number;
  microBatch: number;
}

/** @returns [2] int32, the key from which each module derives its own */
export const dropoutKey = ({ seed, step, microBatch }: DropoutPosition): Tensor1D =>
  tf.tensor1d([hashWords(seed, step) | 0, hashWords(microBatch) | 0], 'int32');

/** Reads a weight of the base in f32. @param name as in the checkpoint */
export type ReadWeight = (name: string) => Float32Array;

export interface Trained {
  /** Sorted by name. */
  readonly trainable: ReadonlyMap<string, Variable>;
  /** What the method adds without training it, by name. */
  readonly constant?: ReadonlyMap<string, Variable>;
  /**
   * Initial values of what the method adds, where they depend on the base's weights. It is asked for one name after the other, when the weights are read;
   * `join` itself sees only their names and shapes.
   * @returns null for a name whose variable has its initial value already
   */
  initial?(name: string, read: ReadWeight): Float32Array | null;
  /** Whether the head is computed from what is trained, though it is not trained itself. */
  readonly changesHead?: boolean;
  /** The weights for one pass; without a key there is no dropout. */
  parameters(key?: Tensor1D): Parameters;
}

/** Numbers the variables, whose names must be unique in a process. */
let variableCount = 0;

/** @returns a trainable variable; the initial tensor is disposed of */
export function variable(initial: Tensor): Variable {
  const created = tf.variable(initial, true, `trained/${variableCount++}`);
  initial.dispose();
  return created;
}

/** The weights of one linear layer, as in the checkpoint. */
interface LinearWeights {
  /** [out, in], or [in, out] if `inputFirst` */
  W: Tensor2D;
  /** [out] */
  b: Tensor1D | undefined;
  inputFirst: boolean;
}

function linearWeights(weights: ReadonlyMap<string, Tensor>, module: string, { inputFirst }: Layout): LinearWeights {
  return { W: weights.get(`${module}.weight`) as Tensor2D, b: weights.get(`${module}.bias`) as Tensor1D | undefined, inputFirst };
}

type Layout = Pick<ModelConfig, 'inputFirst' | 'experts'>;

/** xWᵀ */
const product = (x: Tensor2D, { W, inputFirst }: LinearWeights): Tensor2D =>
  W instanceof tf.Variable ? tf.matMul(x, W as Tensor2D, false, !inputFirst) : frozenProduct(x, W, inputFirst);

/** y = xWᵀ + b; b is optional. */
function plainLinear(x: Tensor2D, layer: LinearWeights): Tensor2D {
  const y = product(x, layer);
  return layer.b === undefined ? y : tf.add(y, layer.b);
}

/** A linear layer whose bias is still to be added. */
export interface UnbiasedProduct extends LinearWeights {
  /** @param x [tokens, in] @returns [tokens, out] */
  product(x: Tensor2D): Tensor2D;
}

export function unbiasedProduct(weights: ReadonlyMap<string, Tensor>, module: string, layout: Layout): UnbiasedProduct {
  const layer = linearWeights(weights, module, layout);
  return { ...layer, product: (x) => product(x, layer) };
}

/** @returns those of a base's weights that are themselves trained */
export const variablesOf = (weights: ReadonlyMap<string, Tensor>): Map<string, Variable> =>
  new Map([...weights].filter((weight): weight is [string, Variable] => weight[1] instanceof tf.Variable));

/** Sorts by name, so that sums over parameters always have the same order. */
export const byName = (trainable: ReadonlyMap<string, Variable>): Map<string, Variable> =>
  new Map([...trainable].sort(([a], [b]) => (a < b ? -1 : 1)));

/** The base model without tuning. */
export const untuned = (weights: ReadonlyMap<string, Tensor>, layout: Layout): Trained => ({
  trainable: new Map(),
  parameters: () => plainParameters(weights, layout),
});

export function plainParameters(weights: ReadonlyMap<string, Tensor>, layout: Layout): Parameters {
  const linear = (module: string, x: Tensor2D): Tensor2D => within(module, () => plainLinear(x, linearWeights(weights, module, layout)));
  return {
    weight: (name) => weights.get(name)!,
    linear,
    linears: (modules, x) => modules.map((module) => linear(module, x)),
    experts: (weight, x, experts) => within(weight, () => expertProducts(x, weights.get(weight) as Tensor3D, experts, layout.experts)),
  };
}

/** y = xWᵀ, W frozen: dx = dy·W. */
function frozenProduct(x: Tensor2D, W: Tensor2D, inputFirst: boolean): Tensor2D {
  return differentiable<Tensor2D>([x], () => ({
    value: tf.matMul(x, W, false, !inputFirst),
    saved: [],
    gradient: (dy) => [tf.matMul(dy, W, false, inputFirst)],
  }));
}
