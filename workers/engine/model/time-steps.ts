import type { Mamba } from '../../../src/formats/model-config.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/**
 * How long a step of its state each head makes at a token (Mamba 2; delta nets have the same): dt = softplus(a + bias), within limits.
 * With d = d(dt), and 0 where a limit holds: da = d·σ(a + bias), dbias = Σ da over the tokens.
 * @param a    [tokens, heads]
 * @param bias [heads]
 * @returns    [tokens, heads]
 */
export function timeSteps(a: Tensor2D, { bias, limits }: { bias: Tensor1D; limits: Mamba['stepLimits'] }): Tensor2D {
  const trained = isTrained(bias);
  return differentiable<Tensor2D>(trained ? [a, bias] : [a], () => {
    const x: Tensor2D = tf.add(a, bias);
    const free: Tensor2D = tf.softplus(x);
    return {
      value: limits === null ? free : (within(free, limits) as Tensor2D),
      saved: [x, free],
      gradient(dy, [x, free]) {
        const passed = limits === null ? dy : tf.mul(dy, tf.cast(tf.equal(free!, within(free!, limits)), 'float32'));
        const da = tf.mul(passed, tf.sigmoid(x!));
        return trained ? [da, tf.sum(da, 0)] : [da];
      },
    };
  });
}

const within = (x: Tensor, { least, most }: NonNullable<Mamba['stepLimits']>): Tensor => {
  const above = tf.maximum(x, least);
  return Number.isFinite(most) ? tf.minimum(above, most) : above;
};

/**
 * The logarithm of how much of its state a head keeps over a step: g = −e^log·dt. With d = dg: d(dt) = −d·e^log, dlog = Σ d·g over the tokens.
 * @param dt  [tokens, heads]
 * @param log [heads]
 * @returns   [tokens, heads], at most 0
 */
export function decayOverSteps(dt: Tensor2D, log: Tensor1D): Tensor2D {
  const trained = isTrained(log);
  return differentiable<Tensor2D>(trained ? [dt, log] : [dt], () => {
    const rate = tf.neg(tf.exp(log));
    const g: Tensor2D = tf.mul(dt, rate);
    return {
      value: g,
      saved: [rate, g],
      gradient(dy, [rate, g]) {
        const dStep = tf.mul(dy, rate!);
        return trained ? [dStep, tf.sum(tf.mul(dy, g!), 0)] : [dStep];
      },
    };
  });
}
