/** Cross-entropy over the vocabulary, computed only for the supervised tokens, each with a weight. */
import { tokensOfHeadPart } from '../../../src/formats/pass-size.ts';
import { differentiable, isTrained } from '../tensorflow/differentiable.ts';
import { addedOuter, after, elementsAt, gatherRows, splitRows, subtractRows } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/** @returns [parts], the number of supervised tokens in each part */
export function partSizes(tokens: number, { vocabSize, parts }: { vocabSize: number; parts: number }): Int32Array {
  const size = tokensOfHeadPart(tokens, { vocabSize, parts });
  return Int32Array.from({ length: parts }, (_, part) => Math.max(0, Math.min(size, tokens - part * size)));
}

export interface Predictions {
  /** [supervised, hidden], after the last norm, at the positions that predict a supervised token */
  states: Tensor2D;
  /** [vocab, hidden] */
  head: Tensor2D;
  /** [supervised] int32, the tokens to predict */
  targets: Tensor1D;
  /** [supervised], the weight of each token in the loss */
  weights: Tensor1D;
  /** [parts] int32, from `partSizes` */
  partSizes: Tensor1D;
}

interface CrossEntropyOptions {
  /** Whether the loss will be differentiated. */
  withGradient: boolean;
  /** The model's cap on its logits. */
  softCap?: number | null;
  /** Whether what each token adds to the sums is wanted too. */
  perToken?: boolean;
}

/** What each supervised token adds to the sums. A type alias: tf.tidy takes no interface. */
export type TokenSums = {
  /** [supervised], its weighted loss */
  losses: Tensor1D;
  /** [supervised] int32, 1 where the target has the largest logit */
  correct: Tensor1D;
};

// A type alias: tf.tidy takes no interface.
export type CrossEntropy = {
  /** Weighted sum over the tokens, nats. */
  loss: Scalar;
  /** int32, the number of tokens whose target has the largest logit. */
  correct: Scalar;
  /** Only if `perToken`. */
  tokens?: TokenSums;
};

/**
 * −Σ w·log softmax(h·Wᵀ)[target]. The forward pass also computes the gradient, part by part, so that no logits outlive their part:
 * d logits = w·(P − onehot), where P is the softmax, so dh = w·(P·W − W[target]) and, if W is trained, dW = Pᵀ·(w·h) minus each w·h at the row of
 * its target.
 */
export function crossEntropy(predictions: Predictions, options: CrossEntropyOptions): CrossEntropy {
  return within('head', () => losses(predictions, options));
}

function losses(predictions: Predictions, { withGradient, softCap = null, perToken = false }: CrossEntropyOptions): CrossEntropy {
  const { states, head } = predictions;
  if (!withGradient) {
    return tf.tidy(() => {
      const parts = inOrder(
        split(predictions),
        (part) => summed(part, head, softCap),
        ({ loss }) => loss,
      );
      const sums = { loss: tf.addN(parts.map(({ loss }) => loss)), correct: tf.addN(parts.map(({ correct }) => correct)) };
      return perToken ? { ...sums, tokens: joinedTokens(parts) } : sums;
    });
  }
  const trained = isTrained(head);
  let correct: Scalar | undefined;
  let tokens: TokenSums | undefined;
  const loss = differentiable<Scalar>(trained ? [states, head] : [states], () => {
    const gradients = (part: Part, before?: StateGradients): PartialGradients => {
      const { P, slope, ...sums } = summed(part, head, softCap);
      return { ...sums, ...partialGradients(part, { P, slope }, { head, trained, before }) };
    };
    const parts = inOrder(split(predictions), gradients, ({ dStates, dHead }) => dHead[0] ?? dStates);
    correct = tf.keep(tf.addN(parts.map((part) => part.correct)));
    if (perToken) {
      const { losses, correct } = joinedTokens(parts);
      tokens = { losses: tf.keep(losses), correct: tf.keep(correct) };
    }
    return {
      value: tf.addN(parts.map((part) => part.loss)),
      saved: joinedGradients(parts, predictions, trained),
      gradient: (dy, saved) => saved.map((gradient) => tf.mul(gradient, dy)),
    };
  });
  return tokens === undefined ? { loss, correct: correct! } : { loss, correct: correct!, tokens };
}

const joinedTokens = (parts: readonly { tokens: TokenSums }[]): TokenSums => ({
  losses: tf.concat(parts.map(({ tokens }) => tokens.losses)),
  correct: tf.concat(parts.map(({ tokens }) => tokens.correct)),
});

/** Computes each part after the previous one has finished, whose result it is given, so that their logits are never in memory together. */
export function inOrder<Of extends Pick<Part, 'states'>, T extends Record<string, unknown>>(
  parts: readonly Of[],
  compute: (part: Of, before: T | undefined) => T,
  last: (result: T) => Tensor,
): T[] {
  const results: T[] = [];
  for (const { states, ...rest } of parts) {
    const before = results.at(-1);
    results.push(tf.tidy(() => compute({ ...rest, states: after(states, before && last(before)) } as unknown as Of, before) as never) as T);
  }
  return results;
}

export type StateGradients = {
  /** Gradient of the weighted loss with respect to the states. */
  dStates: Tensor2D;
  /**
   * For a trained head: its gradient from this part and those before, without the −1 at the targets, and [part, hidden] to subtract from the rows of
   * this part's targets.
   */
  dHead: Tensor2D[];
};

type PartialGradients = Required<CrossEntropy> & StateGradients;

interface OfHead {
  head: Tensor2D;
  trained: boolean;
  /** Of the part before. */
  before?: StateGradients | undefined;
}

export function partialGradients(part: Part, { P, slope }: Pick<PartTokens, 'P' | 'slope'>, { head, trained, before }: OfHead): StateGradients {
  const dLogits: Tensor2D = slope === null ? P : tf.mul(P, slope.everywhere); // the −1 at the targets is added below
  const atTargets = (x: Tensor2D): Tensor2D => (slope === null ? x : tf.mul(x, slope.atTargets));
  const weights: Tensor2D = tf.reshape(part.weights, [-1, 1]);
  const dStates: Tensor2D = tf.mul(tf.sub(tf.matMul(dLogits, head), atTargets(gatherRows(head, part.targets))), weights);
  if (!trained) return { dStates, dHead: [] };
  const weighted: Tensor2D = tf.mul(part.states, weights);
  return { dStates, dHead: [addedOuter(dLogits, weighted, before?.dHead[0]), atTargets(weighted)] };
}

/** @returns the gradients of the states and, if it is trained, of the head, from those of all parts */
export function joinedGradients(
  parts: readonly StateGradients[],
  { states, targets }: Pick<Predictions, 'states' | 'targets'>,
  trained: boolean,
): Tensor2D[] {
  const rowsOf = (ofParts: Tensor2D[]): Tensor2D => tf.reshape(tf.concat(ofParts), states.shape);
  const dStates = rowsOf(parts.map(({ dStates }) => dStates));
  if (!trained) return [dStates];
  const atTargets = rowsOf(parts.map(({ dHead }) => dHead[1]!));
  return [dStates, subtractRows(parts.at(-1)!.dHead[0]!, targets, atTargets)];
}

export type Part = Pick<Predictions, 'states' | 'targets' | 'weights'>;

export function split({ states, targets, weights, partSizes }: Predictions): Part[] {
  const [targetParts, weightParts] = [splitRows(targets, partSizes), splitRows(weights, partSizes)];
  return splitRows(states, partSizes).map((states, index) => ({ states, targets: targetParts[index]!, weights: weightParts[index]! }));
}

/** A part's tokens, each for itself. A type alias: tf.tidy takes no interface. */
export type PartTokens = {
  /** [part], −log softmax(h·Wᵀ)[target] */
  losses: Tensor1D;
  /** [part] bool, whether the target has the largest logit */
  best: Tensor1D;
  /** [part, vocab], the softmax */
  P: Tensor2D;
  /** Slope of the cap, [part, vocab], and at the targets, [part, 1]; null without a cap. */
  slope: { everywhere: Tensor2D; atTargets: Tensor2D } | null;
};

type PartSums = Required<CrossEntropy> & Pick<PartTokens, 'P' | 'slope'>;

function summed(part: Part, head: Tensor2D, softCap: number | null): PartSums {
  const { losses, best, P, slope } = tokensOf(part, head, softCap);
  const tokens: TokenSums = { losses: tf.mul(losses, part.weights), correct: tf.cast(best, 'int32') };
  return { loss: tf.sum(tokens.losses) as Scalar, correct: tf.sum(tokens.correct) as Scalar, tokens, P, slope };
}

/**
 * log Σ eᶻ = m − log p, where m is the largest logit and p its probability. This takes only three passes over the logits: for the products, the
 * softmax and the argmax.
 */
export function tokensOf({ states, targets }: Part, head: Tensor2D, softCap: number | null): PartTokens {
  const logits = softCapped(tf.matMul(states, head, false, true) as Tensor2D, softCap);
  const P = tf.softmax(logits) as Tensor2D;
  const best = tf.argMax(logits, 1) as Tensor1D;
  const at = (x: Tensor2D, columns: Tensor1D): Tensor1D => elementsAt(x, columns);
  const logSums = tf.sub(at(logits, best), tf.log(at(P, best)));
  const slope = softCap === null ? null : (tf.sub(1, tf.square(tf.div(logits, softCap))) as Tensor2D);
  return {
    losses: tf.sub(logSums, at(logits, targets)),
    best: tf.equal(best, targets),
    P,
    slope: slope && { everywhere: slope, atTargets: tf.reshape(at(slope, targets), [-1, 1]) },
  };
}

/** c·tanh(z / c) (Gemma 2), whose slope is 1 − (capped / c)². */
export function softCapped<T extends Tensor>(logits: T, softCap: number | null): T {
  return softCap === null ? logits : tf.mul(tf.tanh(tf.div(logits, softCap)), softCap);
}
