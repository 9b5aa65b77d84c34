/** The Mamba-2 layer (Dao & Gu 2024, "Transformers are SSMs"), as Granite 4 has it. */
import { convolvedSize, innerSize } from '../../../src/formats/mixers.ts';
import type { Mamba, ModelConfig } from '../../../src/formats/model-config.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import { activated, gatedBy } from './activation.ts';
import { causalConvolution, convolutionWeight } from './causal-convolution.ts';
import type { TokenGrid } from './decoder.ts';
import { scaledByWeights, unitVariance } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { cachedStateSpace, stateSpace } from './state-space.ts';
import { decayOverSteps, timeSteps } from './time-steps.ts';

interface Mixed {
  config: ModelConfig;
  parameters: Parameters;
  mixer: Mamba;
  grid: TokenGrid;
  /** Its number, from 0. */
  layer: number;
}

/**
 * out(norm((y + D·x) · silu(z))), y what the state space gives for x, B, C and time steps; x, B and C go through a causal convolution first.
 * @param input [tokens, hidden], tokens = rows · length
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function mamba(input: Tensor2D, block: string, { config, parameters, mixer, grid, layer }: Mixed): Tensor2D {
  const names = config.names.mamba!;
  const { heads, headSize, groups, stateSize } = mixer;
  const [rows, length] = grid.positions.shape;
  const inner = innerSize(mixer);
  const parameter = (name: string): Tensor1D => parameters.weight(`${block}.${name}`) as Tensor1D;

  const projected = parameters.linear(`${block}.${names.input}`, input);
  const [z, mixed, steps] = tf.split(projected, [inner, convolvedSize(mixer), heads], 1) as [Tensor2D, Tensor2D, Tensor2D];
  const convolution = `${block}.${names.convolution}`;
  const sums = causalConvolution(mixed, convolutionWeight(parameters, convolution), { grid, layer });
  const convolved: Tensor2D = mixer.convolutionBias ? tf.add(sums, parameters.weight(`${convolution}.bias`)) : sums;
  const ofGroups = groups * stateSize;
  const [x, B, C] = tf.split(activated(convolved, config.mlp.activation), [inner, ofGroups, ofGroups], 1) as [Tensor2D, Tensor2D, Tensor2D];
  const ofParts = (part: Tensor2D, count: number, size: number): Tensor4D => tf.reshape(part, [rows, length, count, size]);
  const perHead = (part: Tensor2D): Tensor3D => tf.reshape(part, [rows, length, heads]);
  const dt = timeSteps(steps, { bias: parameter(names.stepBias), limits: mixer.stepLimits });
  const inputs = {
    x: ofParts(x, heads, headSize),
    B: ofParts(B, groups, stateSize),
    C: ofParts(C, groups, stateSize),
    dt: perHead(dt),
    g: perHead(decayOverSteps(dt, parameter(names.decayLog))),
  };
  const y = grid.slots === undefined ? stateSpace(inputs, grid.positions) : cachedStateSpace(inputs, { ...grid, slots: grid.slots, layer });

  const skipped = tf.add(y, timesOfHeads(inputs.x, parameter(names.skip)));
  const gated = gatedBy(tf.reshape(skipped, [rows * length, inner]), z, 'silu');
  const normed = scaledByWeights(ofUnitGroups(gated, groups, config.norm.epsilon), parameter(`${names.norm}.weight`));
  return parameters.linear(`${block}.${names.output}`, normed);
}

/** The elements of each group have a mean square of 1. @param x [tokens, size] */
function ofUnitGroups(x: Tensor2D, groups: number, epsilon: number): Tensor2D {
  const [tokens, size] = x.shape;
  return tf.reshape(unitVariance(tf.reshape(x, [tokens * groups, size / groups]), epsilon), [tokens, size]);
}

/**
 * D·x. With d = dy: dx = D·d, dD = Σ d·x over the tokens and a head's elements.
 * @param x [rows, length, heads, headSize]
 * @param D [heads]
 */
function timesOfHeads(x: Tensor4D, D: Tensor1D): Tensor4D {
  const trained = isTrained(D);
  const [rows, length, heads, headSize] = x.shape;
  const ofHeads = (D: Tensor): Tensor3D => tf.reshape(D, [1, heads, 1]);
  const flat = (part: Tensor): Tensor3D => tf.reshape(part, [rows * length, heads, headSize]);
  const asGiven = (part: Tensor): Tensor4D => tf.reshape(part, [rows, length, heads, headSize]);
  return differentiable<Tensor4D>(trained ? [x, D] : [x], () => ({
    value: asGiven(tf.mul(flat(x), ofHeads(D))),
    saved: [x, D],
    gradient(dy, [x, D]) {
      const dx = asGiven(tf.mul(flat(dy), ofHeads(D!)));
      return trained ? [dx, tf.sum(tf.sum(tf.mul(flat(dy), flat(x!)), 2), 0)] : [dx];
    },
  }));
}
