/**
 * AdamW (Loshchilov & Hutter 2019), step by step like `torch.optim.AdamW`: decoupled decay, bias-corrected moments. Jobs train with
 * `compiled/adamw-update.ts`; tests compare it with this plain implementation.
 */
import { BETAS, EPSILON } from '../optim/adamw.ts';
import { decays } from '../optim/weight-decay.ts';
import { type Tensor, tf, type Variable } from '../tensorflow/tensorflow.ts';

export interface AdamWOptions {
  betas?: readonly [number, number];
  epsilon?: number;
  weightDecay: number;
  /** Which tensors decay; default: as in transformers' Trainer. */
  decaysShape?(shape: readonly number[], name: string): boolean;
  /** What the learning rate of a tensor is multiplied by; default: 1. */
  rateFactor?(name: string): number;
}

/** First and second moment of one parameter's gradient, in its shape. */
interface Moments {
  m: Tensor;
  v: Tensor;
}

export class AdamW {
  readonly #trainable: ReadonlyMap<string, Variable>;
  readonly #betas: readonly [number, number];
  readonly #epsilon: number;
  readonly #weightDecay: number;
  readonly #decays: (shape: readonly number[], name: string) => boolean;
  readonly #rateFactor: (name: string) => number;
  readonly #moments = new Map<string, Moments>();
  /** Number of steps in which a parameter had no gradient. */
  readonly #missed = new Map<string, number>();
  #steps = 0;

  constructor(
    trainable: ReadonlyMap<string, Variable>,
    { betas = BETAS, epsilon = EPSILON, weightDecay, decaysShape = decays, rateFactor = () => 1 }: AdamWOptions,
  ) {
    this.#trainable = trainable;
    this.#betas = betas;
    this.#epsilon = epsilon;
    this.#weightDecay = weightDecay;
    this.#decays = decaysShape;
    this.#rateFactor = rateFactor;
    for (const [name, variable] of trainable) this.#moments.set(name, { m: tf.zerosLike(variable), v: tf.zerosLike(variable) });
  }

  /** Number of steps so far, on which the bias corrections depend. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * θ ← θ·(1 − η·λ) − η·m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).
   * A parameter without a gradient in this step keeps its value, its moments and its t.
   * @param gradients by name; still owned by the caller
   */
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number): void {
    this.#steps += 1;
    const [beta1, beta2] = this.#betas;
    for (const name of this.#trainable.keys()) if (!gradients.has(name)) this.#missed.set(name, (this.#missed.get(name) ?? 0) + 1);
    for (const [name, gradient] of gradients) {
      const variable = this.#trainable.get(name);
      const old = this.#moments.get(name);
      if (variable === undefined || old === undefined) throw new Error(`no trainable parameter is called ${name}`);
      const t = this.#steps - (this.#missed.get(name) ?? 0);
      const rate = learningRate * this.#rateFactor(name);
      const stepSize = rate / (1 - beta1 ** t);
      const secondCorrection = Math.sqrt(1 - beta2 ** t);
      const next = tf.tidy(() => {
        const m = tf.add(old.m, tf.mul(tf.sub(gradient, old.m), 1 - beta1)); // PyTorch's lerp
        const v = tf.add(tf.mul(old.v, beta2), tf.mul(tf.square(gradient), 1 - beta2));
        const denominator = tf.add(tf.div(tf.sqrt(v), secondCorrection), this.#epsilon);
        const decayed = this.#weightDecay === 0 || !this.#decays(variable.shape, name) ? variable : tf.mul(variable, 1 - rate * this.#weightDecay);
        variable.assign(tf.sub(decayed, tf.div(tf.mul(m, stepSize), denominator)));
        return { m, v };
      });
      old.m.dispose();
      old.v.dispose();
      this.#moments.set(name, next);
    }
  }

  dispose(): void {
    for (const { m, v } of this.#moments.values()) tf.dispose([m, v]);
    this.#moments.clear();
  }
}
