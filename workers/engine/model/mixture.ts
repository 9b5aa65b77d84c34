/** Mixtures of experts (Shazeer et al. 2017), as transformers' Mixtral, Granite, Qwen 3 MoE, gpt-oss and Llama 4 compute them. */
import type { Experts, ModelConfig } from '../../../src/formats/model-config.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { columnsAt } from '../tensorflow/native.ts';
import { type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../tensorflow/tensorflow.ts';
import { clampedGate, gatedBy } from './activation.ts';
import { lookUp } from './embedding.ts';
import { feedForward } from './mlp.ts';
import type { Parameters } from './parameters.ts';

/** What a router has said of the tokens of a pass. */
export interface Routing {
  /** [tokens, experts] */
  logits: Tensor2D;
  /** [tokens, perToken] int32, the experts' numbers */
  chosen: Tensor2D;
}

export interface MixtureContext {
  config: ModelConfig;
  parameters: Parameters;
  /** Takes what the router says, where that is wanted. */
  routings?: Routing[] | undefined;
}

/**
 * Σ wₑ·downₑ(f(gateₑ(x)) · upₑ(x)) over the experts e that the router gives a token, and what all tokens go through.
 * @param x     [tokens, hidden]
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function mixture(x: Tensor2D, block: string, { config, parameters, routings }: MixtureContext): Tensor2D {
  const [experts, names] = [config.experts!, config.names.experts!];
  const [tokens, hidden] = x.shape;
  const logits = parameters.linear(`${block}.${names.router}`, x);
  const { weights, chosen } = routed(logits, experts);
  routings?.push({ logits, chosen });
  const choices = tf.reshape(chosen, [-1]) as Tensor1D; // [tokens · perToken]
  const linear = (name: string, x: Tensor2D): Tensor2D => {
    const y = parameters.experts(`${block}.${name}`, x, choices);
    if (experts.bias === undefined) return y;
    const bias = parameters.weight(`${block}.${name}_bias`) as Tensor2D;
    return tf.add(y, lookUp(bias, choices, { trained: bias instanceof tf.Variable }));
  };
  const [gate, up] = parted(linear(names.gateAndUp, experts.inputWeights ? weighted(x, weights) : x), experts);
  const gated = experts.clamped === undefined ? gatedBy(up, gate, config.mlp.activation) : clampedGate(up, gate, experts.clamped);
  const y = linear(names.down, gated);
  const ofTokens: Tensor3D = tf.reshape(y, [tokens, experts.perToken, hidden]);
  const weightedResults = experts.inputWeights ? ofTokens : tf.mul(ofTokens, tf.reshape(weights, [tokens, experts.perToken, 1]));
  const sum: Tensor2D = tf.sum(weightedResults, 1);
  return names.shared === undefined ? sum : tf.add(sum, sharedExpert(x, block, { config, parameters }));
}

/** @param x [tokens, hidden] @param weights [tokens, perToken] @returns a row for each weight, [tokens · perToken, hidden] */
function weighted(x: Tensor2D, weights: Tensor2D): Tensor2D {
  const [tokens, hidden] = x.shape;
  const [, perToken] = weights.shape;
  return tf.reshape(tf.mul(tf.reshape(x, [tokens, 1, hidden]), tf.reshape(weights, [tokens, perToken, 1])), [tokens * perToken, hidden]);
}

/** down(f(gate(x)) · up(x)), times σ(outputGate(x)) if there is such a gate */
function sharedExpert(x: Tensor2D, block: string, { config, parameters }: { config: ModelConfig; parameters: Parameters }): Tensor2D {
  const [shared, { activation }] = [config.names.experts!.shared!, config.mlp];
  if (!('gate' in shared)) return feedForward(x, block, { names: shared, activation, parameters });
  const { gate, up, down, outputGate } = shared;
  const modules = [gate, up, ...(outputGate === undefined ? [] : [outputGate])].map((name) => `${block}.${name}`);
  const [gates, ups, scale] = parameters.linears(modules, x) as [Tensor2D, Tensor2D, Tensor2D?];
  const result = parameters.linear(`${block}.${down}`, gatedBy(ups, gates, activation));
  return scale === undefined ? result : tf.mul(result, tf.sigmoid(scale));
}

/** @param gateAndUp [choices, 2 · intermediate] @returns twice [choices, intermediate] */
function parted(gateAndUp: Tensor2D, { intermediateSize: size, interleaved }: Experts): [Tensor2D, Tensor2D] {
  if (interleaved === undefined) return tf.split(gateAndUp, 2, 1) as [Tensor2D, Tensor2D];
  const pairs = tf.split(tf.reshape(gateAndUp, [-1, size, 2]), 2, 2); // [choices, intermediate, 1] each
  return pairs.map((part) => tf.reshape(part, [-1, size])) as [Tensor2D, Tensor2D];
}

/**
 * The most probable experts of each token, with their probabilities as weights.
 * @param logits [tokens, experts]
 * @returns weights [tokens, perToken] and the experts' numbers, alike, int32
 */
function routed(logits: Tensor2D, { perToken, normalised, inputWeights }: Experts): { weights: Tensor2D; chosen: Tensor2D } {
  const chosen = tf.tidy(() => tf.topk(logits, perToken).indices) as Tensor2D;
  if (inputWeights) return { weights: tf.sigmoid(elementsOf(logits, chosen)), chosen };
  // Divided by their sum, the probabilities of some experts are a softmax of their own. The logits of all others then have no gradient, where the
  // division leaves one of rounding errors, which AdamW would make steps of.
  if (normalised) return { weights: tf.softmax(elementsOf(logits, chosen)) as Tensor2D, chosen };
  return { weights: elementsOf(tf.softmax(logits) as Tensor2D, chosen), chosen };
}

/** Some elements of each row. @param columns [rows, k] int32 @returns [rows, k] */
function elementsOf(x: Tensor2D, columns: Tensor2D): Tensor2D {
  const [, size] = x.shape;
  return differentiable<Tensor2D>([x], () => ({
    value: columnsAt(x, columns),
    saved: [columns],
    gradient(dy, [columns]) {
      const [rows, k] = dy.shape;
      return [tf.sum(tf.mul(oneHot(columns as Tensor2D, size), tf.reshape(dy, [rows, k, 1])), 1)];
    },
  }));
}

/** @param columns [rows, k] int32 @returns [rows, k, size], 1 at each column and 0 elsewhere */
export function oneHot(columns: Tensor2D, size: number): Tensor3D {
  const numbers = tf.tensor(
    Int32Array.from({ length: size }, (_, column) => column),
    [1, 1, size],
    'int32',
  );
  const [rows, k] = columns.shape;
  return tf.cast(tf.equal(tf.reshape(columns, [rows, k, 1]), numbers), 'float32');
}
