/** Cross-entropy over the vocabulary, computed for the supervised tokens alone. */
import { differentiable } from '../differentiable.ts';
import { after, sparseCrossEntropy, splitRows } from '../native.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow.ts';

/** Logits of a part: 64 MB. A long batch's go through the head in parts, since a large vocabulary's outweigh all else. */
const MAX_LOGITS = 16 * 1024 * 1024;
/** As many parts as there may be; what is left over is empty and costs nothing. */
const PARTS = 16;
/** Each part of a trained head has a gradient as large as the head itself, an empty one too. */
const PARTS_OF_TRAINED_HEAD = 4;

/** @returns how many supervised tokens go through the head at a time, [parts] */
export function partSizes(tokens: number, { vocabSize, trainedHead }: { vocabSize: number; trainedHead: boolean }): Int32Array {
  const parts = trainedHead ? PARTS_OF_TRAINED_HEAD : PARTS;
  const size = Math.max(1, Math.floor(MAX_LOGITS / vocabSize), Math.ceil(tokens / parts));
  return Int32Array.from({ length: parts }, (_, part) => Math.max(0, Math.min(size, tokens - part * size)));
}

export interface Predictions {
  /** [supervised, hidden], after the last norm: the positions that predict a supervised token */
  states: Tensor2D;
  /** [vocab, hidden] */
  head: Tensor2D;
  /** [supervised] int32, the tokens they should predict */
  targets: Tensor1D;
  /** [parts] int32, as `partSizes` gives them */
  partSizes: Tensor1D;
}

interface CrossEntropyOptions {
  /** Whether the loss will be differentiated. */
  withGradient: boolean;
  /** The model's cap on its logits. */
  softCap?: number | null;
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
export function crossEntropy(predictions: Predictions, { withGradient, softCap = null }: CrossEntropyOptions): CrossEntropy {
  const { states, head } = predictions;
  if (!withGradient) {
    return tf.tidy(() => {
      const parts = inOrder(
        split(predictions),
        (part) => summed(part, head, softCap),
        ({ lossSum }) => lossSum,
      );
      return { lossSum: tf.addN(parts.map(({ lossSum }) => lossSum)), correct: tf.addN(parts.map(({ correct }) => correct)) };
    });
  }
  const trained = head instanceof tf.Variable;
  let correct: Scalar | undefined;
  const lossSum = differentiable<Scalar>(trained ? [states, head] : [states], () => {
    const gradients = (part: Part): PartialGradients => {
      const { gradient, ...sums } = summed(part, head, softCap);
      const dStates = tf.matMul(gradient, head);
      return { ...sums, byInput: trained ? [dStates, tf.matMul(gradient, part.states, true, false)] : [dStates] };
    };
    const parts = inOrder(split(predictions), gradients, ({ byInput }) => byInput.at(-1)!);
    correct = tf.keep(tf.addN(parts.map((part) => part.correct)));
    const saved: Tensor[] = [tf.reshape(tf.concat(parts.map(({ byInput }) => byInput[0]!)), states.shape)];
    if (trained) saved.push(tf.addN(parts.map(({ byInput }) => byInput[1]!)));
    return {
      value: tf.addN(parts.map((part) => part.lossSum)),
      saved,
      gradient: (dy, saved) => saved.map((gradient) => tf.mul(gradient, dy)),
    };
  });
  return { lossSum, correct: correct! };
}

/** Each part when the one before it is through: their logits are never in memory together. */
function inOrder<T extends CrossEntropy>(parts: readonly Part[], compute: (part: Part) => T, last: (result: T) => Tensor): T[] {
  const results: T[] = [];
  for (const { states, targets } of parts) {
    const before = results.at(-1);
    results.push(tf.tidy(() => compute({ states: after(states, before && last(before)), targets })));
  }
  return results;
}

/** One part's sums, and the sum's gradients by the states and, when it is trained, by the head. */
type PartialGradients = CrossEntropy & { byInput: Tensor[] };

interface Part {
  states: Tensor2D;
  targets: Tensor1D;
}

function split({ states, targets, partSizes }: Predictions): Part[] {
  const targetParts = splitRows(targets, partSizes);
  return splitRows(states, partSizes).map((states, index) => ({ states, targets: targetParts[index]! }));
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
