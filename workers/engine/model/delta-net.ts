/** The gated delta net (Yang et al. 2024, "Gated Delta Networks"), as Qwen3.5 has it: linear attention whose state learns from its own errors. */
import type { DeltaNet, ModelConfig } from '../../../src/formats/model-config.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import { activated, gatedBy } from './activation.ts';
import { causalConvolution, convolutionWeight } from './causal-convolution.ts';
import type { TokenGrid } from './decoder.ts';
import { cachedDeltaRule, deltaRule } from './delta-rule.ts';
import { norm, unitLength } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { decayOverSteps, timeSteps } from './time-steps.ts';

interface Mixed {
  config: ModelConfig;
  parameters: Parameters;
  mixer: DeltaNet;
  grid: TokenGrid;
  /** Its number, from 0. */
  layer: number;
}

/** transformers' and flash-linear-attention's, on the sum of squares. */
const LENGTH_EPSILON = 1e-6;

/**
 * out(norm(delta rule(q, k, v)) · silu(gate(x))), with q, k and v from a causal convolution of one projection of x, and q and k of unit length.
 * @param x     [tokens, hidden], tokens = rows · length
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function deltaNet(x: Tensor2D, block: string, { config, parameters, mixer, grid, layer }: Mixed): Tensor2D {
  const names = config.names.deltaNet!;
  const { keyHeads, valueHeads, keySize, valueSize } = mixer;
  const [rows, length] = grid.positions.shape;
  const tokens = rows * length;
  const [mixed, z, b, a] = inputsOf(x, block, { config, parameters, mixer });
  const parameter = (name: string): Tensor => parameters.weight(`${block}.${name}`);

  const convolved = activated(causalConvolution(mixed, convolutionWeight(parameters, `${block}.${names.convolution}`), { grid, layer }), 'silu');
  const [keys, values] = [keyHeads * keySize, valueHeads * valueSize];
  const [q, k, v] = tf.split(convolved, [keys, keys, values], 1) as [Tensor2D, Tensor2D, Tensor2D];
  const ofHeads = (part: Tensor2D, heads: number, size: number): Tensor4D => tf.reshape(part, [rows, length, heads, size]);
  const unit = (part: Tensor2D): Tensor2D => unitLength(tf.reshape(part, [tokens * keyHeads, keySize]) as Tensor2D, LENGTH_EPSILON);
  const perHead = (part: Tensor2D): Tensor3D => tf.reshape(part, [rows, length, valueHeads]);
  const steps = timeSteps(a, { bias: parameter(names.decayBias) as Tensor1D, limits: null });
  const inputs = {
    q: tf.mul(ofHeads(unit(q), keyHeads, keySize), 1 / Math.sqrt(keySize)) as Tensor4D,
    k: ofHeads(unit(k), keyHeads, keySize),
    v: ofHeads(v, valueHeads, valueSize),
    g: perHead(decayOverSteps(steps, parameter(names.decayLog) as Tensor1D)),
    beta: perHead(tf.sigmoid(b)),
  };
  const o = grid.slots === undefined ? deltaRule(inputs, grid.positions) : cachedDeltaRule(inputs, { ...grid, slots: grid.slots, layer });

  const normed = norm(tf.reshape(o, [tokens * valueHeads, valueSize]), `${block}.${names.norm}`, {
    config: { kind: 'rms', epsilon: config.norm.epsilon, offset: 0 },
    parameters,
  });
  const gated = gatedBy(tf.reshape(normed, [tokens, values]), z, 'silu');
  return parameters.linear(`${block}.${names.output}`, gated);
}

/** @returns all queries, keys and values [tokens, mixed], the output's gates [tokens, values], β before its σ and what the decays come from, [tokens, valueHeads] each */
function inputsOf(
  x: Tensor2D,
  block: string,
  { config, parameters, mixer }: Pick<Mixed, 'config' | 'parameters' | 'mixer'>,
): [Tensor2D, Tensor2D, Tensor2D, Tensor2D] {
  const { inputs } = config.names.deltaNet!;
  const linears = (modules: string[]) =>
    parameters.linears(
      modules.map((name) => `${block}.${name}`),
      x,
    );
  if (!('mixedAndGate' in inputs)) {
    return linears([inputs.mixed, inputs.gate, inputs.beta, inputs.decay]) as [Tensor2D, Tensor2D, Tensor2D, Tensor2D];
  }
  const { keyHeads, valueHeads, keySize, valueSize } = mixer;
  const [tokens] = x.shape;
  const [joined, pair] = linears([inputs.mixedAndGate, inputs.betaAndDecay]) as [Tensor2D, Tensor2D];
  const perKey = valueHeads / keyHeads;
  const ofKeys = (joined: Tensor2D, sizes: number[]): Tensor2D[] =>
    tf.split(tf.reshape(joined, [tokens * keyHeads, -1]), sizes, 1).map((part, i) => tf.reshape(part, [tokens, keyHeads * sizes[i]!]));
  const [q, k, v, z] = ofKeys(joined, [keySize, keySize, perKey * valueSize, perKey * valueSize]);
  const [b, a] = ofKeys(pair, [perKey, perKey]);
  return [tf.concat([q!, k!, v!], 1), z!, b!, a!];
}
