import type { ModelConfig } from '../../../src/formats/model-config.ts';
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
  const { names, mlp } = config;
  const f = mlp.activation;
  const linear = (name: string, input: Tensor2D): Tensor2D => parameters.linear(`${block}.${name}`, input);
  const { down } = names.mlp;
  if ('gate' in names.mlp) {
    const [gate, up] = parameters.linears([`${block}.${names.mlp.gate}`, `${block}.${names.mlp.up}`], x) as [Tensor2D, Tensor2D];
    return linear(down, gatedBy(up, gate, f)); // [tokens, intermediate] each
  }
  if ('up' in names.mlp) return linear(down, activated(linear(names.mlp.up, x), f));
  const [gate, up] = tf.split(linear(names.mlp.gateAndUp, x), 2, 1) as [Tensor2D, Tensor2D];
  return linear(down, gatedBy(up, gate, f));
}
