/** Cross-entropy over the vocabulary, computed for the supervised tokens alone. */
import { differentiable } from '../differentiable.ts';
import { sparseCrossEntropy } from '../native.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow.ts';

/** Logits held at once: 64 MB. A long batch's go through the head in parts, since a large vocabulary's outweigh all else. */
const MAX_LOGITS = 16 * 1024 * 1024;

export interface Predictions {
  /** [supervised, hidden], after the last norm: the positions that predict a supervised token */
  states: Tensor2D;
  /** [vocab, hidden] */
  head: Tensor2D;
  /** [supervised] int32, the tokens they should predict */
  targets: Tensor1D;
}

interface CrossEntropyOptions {
  /** Whether the loss will be differentiated. */
  withGradient: boolean;
  /** The model's cap on its logits. */
  softCap?: number | null;
  /** Logits held at once. */
  maxLogits?: number;
}

// A type alias: tf.tidy takes no interface.
export type CrossEntropy = {
  /** Summed over the tokens, nats. */
  lossSum: Scalar;
  /** int32: how often the largest logit was the target's. */
  correct: Scalar;
};

/**
 * −Σ log softmax(h·Wᵀ)[target]. With the gradient, part for part in the same go: d logits = softmax − onehot, dh = d logits·W,
 * dW = d logitsᵀ·h when W is trained. So no logits outlive their part.
 */
export function crossEntropy({ states, head, targets }: Predictions, options: CrossEntropyOptions): CrossEntropy {
  const { withGradient, softCap = null, maxLogits = MAX_LOGITS } = options;
  if (!withGradient) {
    return tf.tidy(() => {
      const parts = split({ states, head, targets }, maxLogits).map((part) => tf.tidy(() => summed(part, head, softCap)));
      return { lossSum: tf.addN(parts.map(({ lossSum }) => lossSum)), correct: tf.addN(parts.map(({ correct }) => correct)) };
    });
  }
  const trained = head instanceof tf.Variable;
  let correct: Scalar | undefined;
  const lossSum = differentiable<Scalar>(trained ? [states, head] : [states], () => {
    const parts = split({ states, head, targets }, maxLogits).map((part) =>
      tf.tidy((): PartialGradients => {
        const { gradient, ...sums } = summed(part, head, softCap);
        const dStates = tf.matMul(gradient, head);
        return { ...sums, byInput: trained ? [dStates, tf.matMul(gradient, part.states, true, false)] : [dStates] };
      }),
    );
    correct = tf.keep(tf.addN(parts.map((part) => part.correct)));
    const saved: Tensor[] = [tf.concat(parts.map(({ byInput }) => byInput[0]!))];
    if (trained) saved.push(tf.addN(parts.map(({ byInput }) => byInput[1]!)));
    return {
      value: tf.addN(parts.map((part) => part.lossSum)),
      saved,
      gradient: (dy, saved) => saved.map((gradient) => tf.mul(gradient, dy)),
    };
  });
  return { lossSum, correct: correct! };
}

/** One part's sums, and the sum's gradients by the states and, when it is trained, by the head. */
type PartialGradients = CrossEntropy & { byInput: Tensor[] };

interface Part {
  states: Tensor2D;
  targets: Tensor1D;
}

function split({ states, head, targets }: Predictions, maxLogits: number): Part[] {
  const perPart = Math.max(1, Math.floor(maxLogits / head.shape[0]));
  const count = targets.shape[0];
  if (count <= perPart) return [{ states, targets }];
  const parts: Part[] = [];
  for (let begin = 0; begin < count; begin += perPart) {
    const size = Math.min(perPart, count - begin);
    parts.push({ states: tf.slice(states, [begin, 0], [size, states.shape[1]]), targets: tf.slice(targets, [begin], [size]) });
  }
  return parts;
}

function summed({ states, targets }: Part, head: Tensor2D, softCap: number | null): CrossEntropy & { gradient: Tensor2D } {
  const logits = softCapped(tf.matMul(states, head, false, true) as Tensor2D, softCap); // [part, vocab]
  const { losses, gradient: ofCapped } = sparseCrossEntropy(logits, targets);
  const gradient = softCap === null ? ofCapped : tf.mul(ofCapped, tf.sub(1, tf.square(tf.div(logits, softCap))));
  const correct = tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), targets), 'int32')) as Scalar;
  return { lossSum: tf.sum(losses), correct, gradient: gradient as Tensor2D };
}

/** c·tanh(z / c) (Gemma 2), whose slope is 1 − (capped / c)². */
export function softCapped<T extends Tensor>(logits: T, softCap: number | null): T {
  return softCap === null ? logits : tf.mul(tf.tanh(tf.div(logits, softCap)), softCap);
}
