import { differentiable } from '../differentiable.ts';
import { type Tensor2D, tf } from '../tensorflow.ts';
import type { Parameters } from './parameters.ts';

/**
 * The SwiGLU feed-forward layer (Shazeer 2020): down(silu(gate(x)) · up(x)).
 * @param x [tokens, hidden]
 * @returns [tokens, hidden]
 */
export function mlp(x: Tensor2D, module: string, parameters: Parameters): Tensor2D {
  const gate = parameters.linear(`${module}.gate_proj`, x); // [tokens, intermediate]
  const up = parameters.linear(`${module}.up_proj`, x);
  return parameters.linear(`${module}.down_proj`, siluGate(gate, up));
}

/**
 * silu(g)·u, silu(g) = g·σ, σ = 1 / (1 + e⁻ᵍ). Its gradient: du = dy·g·σ, dg = dy·u·σ·(1 + g·(1 − σ)).
 * @param gate, up [tokens, intermediate]
 */
function siluGate(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return differentiable<Tensor2D>([gate, up], () => {
    const sigma = tf.sigmoid(gate);
    const silu = tf.mul(gate, sigma);
    return {
      value: tf.mul(silu, up),
      saved: [up, sigma, silu],
      gradient(dy, [up, sigma, silu]) {
        // σ·(1 + g·(1 − σ)) = σ + silu·(1 − σ) = silu + σ·(1 − silu)
        const slope = tf.add(silu!, tf.mul(sigma!, tf.sub(1, silu!)));
        return [tf.mul(tf.mul(dy, up!), slope), tf.mul(dy, silu!)];
      },
    };
  });
}
