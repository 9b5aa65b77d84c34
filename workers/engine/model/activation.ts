import type { Activation } from '../../../src/formats/model-config.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/** An elementwise function, and its derivative computed from its value and the tensors kept. */
interface ElementwiseFunction {
  apply(x: Tensor2D): { value: Tensor2D; kept: Tensor2D[] };
  derivative(value: Tensor2D, kept: Tensor2D[]): Tensor2D;
}

const ROOT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

type Gate = Activation | 'sigmoid';

const FUNCTIONS: Readonly<Record<Gate, ElementwiseFunction>> = {
  /** σ = 1 / (1 + e⁻ˣ); its derivative σ·(1 − σ). */
  sigmoid: {
    apply: (x) => ({ value: tf.sigmoid(x), kept: [] }),
    derivative: (y) => tf.mul(y, tf.sub(1, y)),
  },
  /** x·σ, σ = 1 / (1 + e⁻ˣ); its derivative σ·(1 + x·(1 − σ)) = y + σ·(1 − y). */
  silu: {
    apply(x) {
      const sigma = tf.sigmoid(x);
      return { value: tf.mul(x, sigma), kept: [sigma] };
    },
    derivative: (y, [sigma]) => tf.add(y, tf.mul(sigma!, tf.sub(1, y))),
  },
  /** x·Φ(x), Φ the normal distribution; its derivative Φ + x·φ, φ its density. */
  gelu: {
    apply(x) {
      const phi: Tensor2D = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
      return { value: tf.mul(x, phi), kept: [x, phi] };
    },
    derivative(_, [x, phi]) {
      const density = tf.mul(tf.exp(tf.mul(tf.square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return tf.add(phi!, tf.mul(x!, density));
    },
  },
  /** ½x·(1 + t), t = tanh(√(2/π)·(x + 0.044715x³)); its derivative ½(1 + t) + ½x·(1 − t²)·√(2/π)·(1 + 3·0.044715x²). */
  gelu_tanh: {
    apply(x) {
      const inner = tf.mul(tf.mul(x, tf.add(tf.mul(tf.square(x), CUBIC), 1)), ROOT_2_OVER_PI);
      const t: Tensor2D = tf.tanh(inner as Tensor2D);
      return { value: tf.mul(tf.mul(x, tf.add(t, 1)), 0.5), kept: [x, t] };
    },
    derivative(_, [x, t]) {
      const innerDerivative = tf.mul(tf.add(tf.mul(tf.square(x!), 3 * CUBIC), 1), ROOT_2_OVER_PI);
      const second = tf.mul(tf.mul(x!, tf.sub(1, tf.square(t!))), innerDerivative);
      return tf.mul(tf.add(tf.add(t!, 1), second), 0.5);
    },
  },
};

/**
 * f(g)·x. Its gradient: dx = dy·f(g), dg = dy·x·f′(g).
 * @param x, gate [tokens, size]
 */
export function gatedBy(x: Tensor2D, gate: Tensor2D, activation: Gate): Tensor2D {
  const f = FUNCTIONS[activation];
  return differentiable<Tensor2D>([gate, x], () => {
    const { value, kept } = f.apply(gate);
    return {
      value: tf.mul(value, x),
      saved: [x, value, ...kept],
      gradient: (dy, [x, value, ...kept]) => [tf.mul(tf.mul(dy, x!), f.derivative(value as Tensor2D, kept as Tensor2D[])), tf.mul(dy, value!)],
    };
  });
}

/**
 * gpt-oss's SwiGLU: (u + 1)·g·s with g = min(gate, limit), u = x within ±limit and s = σ(alpha·g). Where nothing is cut off, dx = dy·g·s and
 * dgate = dy·(u + 1)·s·(1 + alpha·g·(1 − s)); elsewhere 0.
 * @param x, gate [tokens, size]
 */
export function clampedGate(x: Tensor2D, gate: Tensor2D, { alpha, limit }: { alpha: number; limit: number }): Tensor2D {
  return differentiable<Tensor2D>([gate, x], () => {
    const g: Tensor2D = tf.minimum(gate, limit);
    const clipped: Tensor2D = tf.maximum(tf.minimum(x, limit), -limit);
    const u: Tensor2D = tf.add(clipped, 1);
    const s: Tensor2D = tf.sigmoid(tf.mul(g, alpha));
    return {
      value: tf.mul(tf.mul(u, g), s),
      saved: [tf.equal(g, gate), tf.equal(clipped, x), g, u, s],
      gradient(dy, [gateKept, xKept, g, u, s]) {
        const where = (kept: Tensor, value: Tensor): Tensor2D => tf.mul(value, tf.cast(kept, 'float32'));
        const slope: Tensor2D = tf.mul(s!, tf.add(tf.mul(tf.mul(g!, alpha), tf.sub(1, s!)), 1));
        return [where(gateKept!, tf.mul(tf.mul(dy, u!), slope)), where(xKept!, tf.mul(tf.mul(dy, g!), s!))];
      },
    };
  });
}

/** f(x). @param x [tokens, size] */
export function activated(x: Tensor2D, activation: Activation): Tensor2D {
  const f = FUNCTIONS[activation];
  return differentiable<Tensor2D>([x], () => {
    const { value, kept } = f.apply(x);
    return {
      value,
      saved: [value, ...kept],
      gradient: (dy, [value, ...kept]) => [tf.mul(dy, f.derivative(value as Tensor2D, kept as Tensor2D[]))],
    };
  });
}
