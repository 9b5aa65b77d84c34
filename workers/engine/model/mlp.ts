import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { ACTIVATIONS, type ElementwiseFunction } from './activation.ts';
import type { Parameters } from './parameters.ts';

/**
 * The feed-forward layer: down(f(gate(x)) · up(x)) (Shazeer 2020), or down(f(up(x))) where there is no gate.
 * @param x     [tokens, hidden]
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function mlp(x: Tensor2D, block: string, { config, parameters }: { config: ModelConfig; parameters: Parameters }): Tensor2D {
  const { names, mlp } = config;
  const f = ACTIVATIONS[mlp.activation];
  const linear = (name: string, input: Tensor2D): Tensor2D => parameters.linear(`${block}.${name}`, input);
  const { down } = names.mlp;
  if ('gate' in names.mlp) {
    const [gate, up] = parameters.linears([`${block}.${names.mlp.gate}`, `${block}.${names.mlp.up}`], x) as [Tensor2D, Tensor2D];
    return linear(down, gated(gate, up, f)); // [tokens, intermediate] each
  }
  if ('up' in names.mlp) return linear(down, activated(linear(names.mlp.up, x), f));
  const [gate, up] = tf.split(linear(names.mlp.gateAndUp, x), 2, 1) as [Tensor2D, Tensor2D];
  return linear(down, gated(gate, up, f));
}

/**
 * f(g)·u. Its gradient: du = dy·f(g), dg = dy·u·f′(g).
 * @param gate, up [tokens, intermediate]
 */
function gated(gate: Tensor2D, up: Tensor2D, f: ElementwiseFunction): Tensor2D {
  return differentiable<Tensor2D>([gate, up], () => {
    const { value, kept } = f.apply(gate);
    return {
      value: tf.mul(value, up),
      saved: [up, value, ...kept],
      gradient: (dy, [up, value, ...kept]) => [tf.mul(tf.mul(dy, up!), f.derivative(value as Tensor2D, kept as Tensor2D[])), tf.mul(dy, value!)],
    };
  });
}

/** @param x [tokens, intermediate] */
function activated(x: Tensor2D, f: ElementwiseFunction): Tensor2D {
  return differentiable<Tensor2D>([x], () => {
    const { value, kept } = f.apply(x);
    return {
      value,
      saved: [value, ...kept],
      gradient: (dy, [value, ...kept]) => [tf.mul(dy, f.derivative(value as Tensor2D, kept as Tensor2D[]))],
    };
  });
}
