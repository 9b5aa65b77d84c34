/** The divergence of the model from a teacher that lists some tokens, and the cross-entropy of the tokens themselves, a part of the logits at a time. */
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { addedOuter, columnsAt, elementsAt, splitRows, subtractAt } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../tensorflow/tensorflow.ts';
import { inOrder, type Predictions, softCapped } from './cross-entropy.ts';

export interface Taught extends Predictions {
  /** [supervised, listed] int32, the tokens that the teacher lists. A row with fewer is filled up with any ids. */
  ids: Tensor2D;
  /** [supervised, listed, 2] int32: before each of these ids the number of its row within its part. */
  places: Tensor3D;
  /** [supervised, listed] 1 at the token to predict, which each row has once, else 0. */
  isTarget: Tensor2D;
  /** [supervised, listed] The teacher's probabilities at the temperature, which sum to 1 for a token with a teacher; 0 for others and where a row is filled up. */
  probabilities: Tensor2D;
  /** [supervised] Σ p·log p of them, nats. */
  certainties: Tensor1D;
  /** [supervised] 1 for a token with a teacher, else 0. */
  taught: Tensor1D;
}

export interface LossOptions {
  /** Weights of the two parts. A token without a teacher has both on its cross-entropy. */
  kd: number;
  ce: number;
  temperature: number;
  softCap: number | null;
  /** Whether the loss will be differentiated. */
  withGradient: boolean;
}

// A type alias: tf.tidy takes no interface.
export type DistillationSums = {
  /** Weighted sum over the tokens, nats. */
  loss: Scalar;
  /** Weighted sums of the divergences and of the cross-entropies. With a gradient the caller owns them, and `correct`. */
  divergence: Scalar;
  crossEntropy: Scalar;
  /** int32, the number of tokens whose target has the largest logit. */
  correct: Scalar;
};

/**
 * Σ w·(kd·T²·Σ p·(log p − log softmax(z/T)) + c·(−log softmax(z)[target])), z = h·Wᵀ, where c is ce, plus kd for a token without a teacher. The sum over p
 * is over the tokens that the teacher lists, and the softmax over the whole vocabulary. As for cross-entropy, the forward pass computes the gradient too:
 * d logits = w·(kd·T·(softmax(z/T) − p) + c·(softmax(z) − onehot)), so dh = d logits·W and dW = d logitsᵀ·h.
 */
export function distillationLoss(given: Taught, options: LossOptions): DistillationSums {
  return within('head', () => compute(given, options));
}

function compute(given: Taught, options: LossOptions): DistillationSums {
  const { states, head } = given;
  const total = (parts: readonly DistillationSums[], name: 'loss' | 'divergence' | 'crossEntropy' | 'correct') =>
    tf.addN(parts.map((part) => part[name]));
  const others = (parts: readonly DistillationSums[]) => ({
    divergence: total(parts, 'divergence'),
    crossEntropy: total(parts, 'crossEntropy'),
    correct: total(parts, 'correct'),
  });
  if (!options.withGradient) {
    return tf.tidy(() => {
      const parts = inOrder(
        split(given),
        (part) => sumsOf(part, head, options).sums,
        ({ loss }) => loss,
      );
      return { loss: total(parts, 'loss'), ...others(parts) };
    });
  }
  const trained = isTrained(head);
  let kept: Omit<DistillationSums, 'loss'> | undefined;
  const loss = differentiable<Scalar>(trained ? [states, head] : [states], () => {
    type WithGradients = DistillationSums & { dStates: Tensor2D; dHead: Tensor2D[] };
    const withGradients = (part: Part, before?: WithGradients): WithGradients => {
      const { sums, gradient } = sumsOf(part, head, options);
      const dLogits = gradient();
      return { ...sums, dStates: tf.matMul(dLogits, head), dHead: trained ? [addedOuter(dLogits, part.states, before?.dHead[0])] : [] };
    };
    const parts = inOrder(split(given), withGradients, ({ dStates, dHead }) => dHead[0] ?? dStates);
    kept = others(parts);
    for (const sum of Object.values(kept)) tf.keep(sum);
    const dStates: Tensor2D = tf.reshape(tf.concat(parts.map((part) => part.dStates)), states.shape);
    return {
      value: total(parts, 'loss'),
      saved: [dStates, ...parts.at(-1)!.dHead],
      gradient: (dy, saved) => saved.map((gradient) => tf.mul(gradient, dy)),
    };
  });
  return { loss, ...kept! };
}

type Part = Omit<Taught, 'head' | 'partSizes'>;

function split({ partSizes, head: _, ...whole }: Taught): Part[] {
  const parts = Object.entries(whole).map(([name, values]) => splitRows(values as Tensor, partSizes).map((part) => [name, part] as const));
  return parts[0]!.map((_, index) => Object.fromEntries(parts.map((ofName) => ofName[index]!)) as unknown as Part);
}

/** A distribution over the vocabulary, [part, vocab], and log Σ eᶻ of its logits, [part]. */
interface Distribution {
  P: Tensor2D;
  logSums: Tensor1D;
}

/** @returns a part's sums, and what makes its gradient of the logits, [part, vocab] */
function sumsOf(part: Part, head: Tensor2D, { kd, ce, temperature: T, softCap }: LossOptions): { sums: DistillationSums; gradient(): Tensor2D } {
  const { states, targets, weights, ids, places, isTarget, probabilities, certainties, taught } = part;
  const logits = softCapped(tf.matMul(states, head, false, true) as Tensor2D, softCap);
  const best = tf.argMax(logits, 1) as Tensor1D;
  const plain = distributionOf(logits, best);
  const tempered = T === 1 ? plain : distributionOf(tf.div(logits, T), best);
  const crossEntropies: Tensor1D = tf.sub(plain.logSums, elementsAt(logits, targets));
  const expected: Tensor1D = tf.div(tf.sum(tf.mul(columnsAt(logits, ids), probabilities), 1), T);
  const divergences: Tensor1D = tf.mul(tf.add(certainties, tf.sub(tf.mul(tempered.logSums, taught), expected)), T * T);
  const ofTarget: Tensor1D = tf.add(tf.mul(tf.sub(1, taught), kd), ce);
  const losses: Tensor1D = tf.add(tf.mul(divergences, kd), tf.mul(crossEntropies, ofTarget));
  const weighted = (values: Tensor1D) => tf.sum(tf.mul(values, weights)) as Scalar;
  return {
    sums: {
      loss: weighted(losses),
      divergence: weighted(divergences),
      crossEntropy: weighted(crossEntropies),
      correct: tf.sum(tf.cast(tf.equal(best, targets), 'int32')) as Scalar,
    },
    gradient() {
      const column = (values: Tensor1D): Tensor2D => tf.reshape(values, [-1, 1]);
      const spread: Tensor2D =
        T === 1 ? tf.mul(plain.P, kd + ce) : tf.add(tf.mul(plain.P, column(ofTarget)), tf.mul(tempered.P, tf.mul(column(taught), kd * T)));
      const dLogits = subtractAt(spread, places, tf.add(tf.mul(probabilities, kd * T), tf.mul(isTarget, column(ofTarget))));
      const uncapped: Tensor2D = softCap === null ? dLogits : tf.mul(dLogits, tf.sub(1, tf.square(tf.div(logits, softCap))));
      return tf.mul(uncapped, column(weights));
    },
  };
}

/** log Σ eᶻ = m − log p, where m is the largest logit and p its probability. @param best [part] int32, where the largest is */
function distributionOf(logits: Tensor2D, best: Tensor1D): Distribution {
  const P = tf.softmax(logits) as Tensor2D;
  return { P, logSums: tf.sub(elementsAt(logits, best), tf.log(elementsAt(P, best))) };
}
