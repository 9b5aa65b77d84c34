import type { Activation, ModelConfig } from '../../../src/formats/model-config.ts';
import type { MlpNames } from '../../../src/formats/module-names.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { activated, gatedBy } from './activation.ts';
import type { Parameters } from './parameters.ts';

/**
 * The feed-forward layer: down(f(gate(x)) · up(x)) (Shazeer 2020), or down(f(up(x))) where there is no gate.
 * @param x     [tokens, hidden]
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function mlp(x: Tensor2D, block: string, { config, parameters }: { config: ModelConfig; parameters: Parameters }): Tensor2D {
  return feedForward(x, block, { names: config.names.mlp, activation: config.mlp.activation, parameters });
}

/** The same, of any modules in the block. */
export function feedForward(
  x: Tensor2D,
  block: string,
  { names, activation: f, parameters }: { names: MlpNames; activation: Activation; parameters: Parameters },
): Tensor2D {
  const linear = (name: string, input: Tensor2D): Tensor2D => parameters.linear(`${block}.${name}`, input);
  const { down } = names;
  if ('gate' in names) {
    const [gate, up] = parameters.linears([`${block}.${names.gate}`, `${block}.${names.up}`], x) as [Tensor2D, Tensor2D];
    return linear(down, gatedBy(up, gate, f)); // [tokens, intermediate] each
  }
  if ('up' in names) return linear(down, activated(linear(names.up, x), f));
  const [gate, up] = tf.split(linear(names.gateAndUp, x), 2, 1) as [Tensor2D, Tensor2D];
  return linear(down, gatedBy(up, gate, f));
}
