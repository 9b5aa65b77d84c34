/** Cross-entropy over the vocabulary, computed for the supervised tokens alone, each with its weight. */
import { differentiable } from '../tensorflow/differentiable.ts';
import { after, elementsAt, gatherRows, splitRows } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/** Logits of a part: 64 MB. A long batch goes through the head in parts, because the logits of a large vocabulary outweigh all else. */
const MAX_LOGITS = 16 * 1024 * 1024;
/** The most parts; those that are left over are empty and cost nothing. */
export const PARTS = 16;
/** Each part of a trained head, an empty one too, has a gradient as large as the head itself. */
export const PARTS_OF_TRAINED_HEAD = 2;

/** @returns how many supervised tokens go through the head at a time, [parts] */
export function partSizes(tokens: number, { vocabSize, parts }: { vocabSize: number; parts: number }): Int32Array {
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
  /** [supervised], how much each counts */
  weights: Tensor1D;
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
  /** The weighted sum over the tokens, nats. */
  loss: Scalar;
  /** int32: how often the largest logit was the target's. */
  correct: Scalar;
};

/**
 * −Σ w·log softmax(h·Wᵀ)[target]. With the gradient, part for part in the same go: d logits = w·(P − onehot), P being the softmax, so
 * dh = w·(P·W − W[target]) and, when W is trained, dW = Pᵀ·(w·h) less each w·h at its target's row. So no logits outlive their part.
 */
export function crossEntropy(predictions: Predictions, options: CrossEntropyOptions): CrossEntropy {
  return within('head', () => losses(predictions, options));
}

function losses(predictions: Predictions, { withGradient, softCap = null }: CrossEntropyOptions): CrossEntropy {
  const { states, head } = predictions;
  if (!withGradient) {
    return tf.tidy(() => {
      const parts = inOrder(
        split(predictions),
        (part) => summed(part, head, softCap),
        ({ loss }) => loss,
      );
      return { loss: tf.addN(parts.map(({ loss }) => loss)), correct: tf.addN(parts.map(({ correct }) => correct)) };
    });
  }
  const trained = head instanceof tf.Variable;
  let correct: Scalar | undefined;
  const loss = differentiable<Scalar>(trained ? [states, head] : [states], () => {
    const gradients = (part: Part): PartialGradients => {
      const { P, slope, ...sums } = summed(part, head, softCap);
      const dLogits = slope === null ? P : tf.mul(P, slope.everywhere); // the targets' own −1 comes after
      const atTargets = (x: Tensor2D): Tensor2D => (slope === null ? x : tf.mul(x, slope.atTargets));
      const weights: Tensor2D = tf.reshape(part.weights, [-1, 1]);
      const dStates: Tensor2D = tf.mul(tf.sub(tf.matMul(dLogits, head), atTargets(gatherRows(head, part.targets))), weights);
      if (!trained) return { ...sums, dStates, dHead: [] };
      const weighted: Tensor2D = tf.mul(part.states, weights);
      return { ...sums, dStates, dHead: [tf.matMul(dLogits, weighted, true, false), atTargets(weighted)] };
    };
    const parts = inOrder(split(predictions), gradients, ({ dStates, dHead }) => dHead[0] ?? dStates);
    correct = tf.keep(tf.addN(parts.map((part) => part.correct)));
    const rowsOf = (ofParts: Tensor2D[]): Tensor2D => tf.reshape(tf.concat(ofParts), states.shape);
    const saved: Tensor[] = [rowsOf(parts.map(({ dStates }) => dStates))];
    if (trained) {
      const atTargets = tf.unsortedSegmentSum(rowsOf(parts.map(({ dHead }) => dHead[1]!)), predictions.targets, head.shape[0]);
      saved.push(tf.sub(tf.addN(parts.map(({ dHead }) => dHead[0]!)), atTargets));
    }
    return {
      value: tf.addN(parts.map((part) => part.loss)),
      saved,
      gradient: (dy, saved) => saved.map((gradient) => tf.mul(gradient, dy)),
    };
  });
  return { loss, correct: correct! };
}

/** Each part when the one before it is through: their logits are never in memory together. */
function inOrder<T extends CrossEntropy>(parts: readonly Part[], compute: (part: Part) => T, last: (result: T) => Tensor): T[] {
  const results: T[] = [];
  for (const { states, ...rest } of parts) {
    const before = results.at(-1);
    results.push(tf.tidy(() => compute({ states: after(states, before && last(before)), ...rest })));
  }
  return results;
}

type PartialGradients = CrossEntropy & {
  /** The sum's gradient by the states. */
  dStates: Tensor2D;
  /** Of a trained head: its gradient without the targets' −1, and what −1 of goes to the targets' rows, [part, hidden]. */
  dHead: Tensor2D[];
};

type Part = Pick<Predictions, 'states' | 'targets' | 'weights'>;

function split({ states, targets, weights, partSizes }: Predictions): Part[] {
  const [targetParts, weightParts] = [splitRows(targets, partSizes), splitRows(weights, partSizes)];
  return splitRows(states, partSizes).map((states, index) => ({ states, targets: targetParts[index]!, weights: weightParts[index]! }));
}

interface PartSums extends CrossEntropy {
  /** softmax [part, vocab] */
  P: Tensor2D;
  /** The cap's slope, [part, vocab] and at the targets [part, 1]; null without a cap. */
  slope: { everywhere: Tensor2D; atTargets: Tensor2D } | null;
}

/**
 * With m the largest logit and p its probability, log Σ eᶻ = m − log p. So the logits are gone over three times: for the products, for the softmax and for
 * where they are largest.
 */
function summed({ states, targets, weights }: Part, head: Tensor2D, softCap: number | null): PartSums {
  const logits = softCapped(tf.matMul(states, head, false, true) as Tensor2D, softCap);
  const P = tf.softmax(logits) as Tensor2D;
  const best = tf.argMax(logits, 1) as Tensor1D;
  const at = (x: Tensor2D, columns: Tensor1D): Tensor1D => elementsAt(x, columns);
  const logSums = tf.sub(at(logits, best), tf.log(at(P, best)));
  const slope = softCap === null ? null : (tf.sub(1, tf.square(tf.div(logits, softCap))) as Tensor2D);
  return {
    loss: tf.sum(tf.mul(tf.sub(logSums, at(logits, targets)), weights)) as Scalar,
    correct: tf.sum(tf.cast(tf.equal(best, targets), 'int32')) as Scalar,
    P,
    slope: slope && { everywhere: slope, atTargets: tf.reshape(at(slope, targets), [-1, 1]) },
  };
}

/** c·tanh(z / c) (Gemma 2), whose slope is 1 − (capped / c)². */
export function softCapped<T extends Tensor>(logits: T, softCap: number | null): T {
  return softCap === null ? logits : tf.mul(tf.tanh(tf.div(logits, softCap)), softCap);
}
