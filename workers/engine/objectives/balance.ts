/** The loss that spreads tokens evenly over the experts of a mixture, and which tokens of a batch count in it. */
import { type Batch, tokensIn } from '../data/batch.ts';
import { lookUp } from '../model/embedding.ts';
import { oneHot, type Routing } from '../model/mixture.ts';
import { gatherRows } from '../tensorflow/native.ts';
import { type Scalar, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/**
 * E·Σ fₑ·Pₑ over the E experts, as transformers' `load_balancing_loss_func` has it (Fedus et al. 2021, eq. 4 to 6): fₑ is how many experts' places of a token
 * are e's, on average, which has no gradient, and Pₑ the mean probability of e; both means are over the tokens of all routers.
 * @param routings of each router
 * @param tokens   [n] int32, the tokens that count
 */
export function balanceLoss(routings: readonly Routing[], tokens: Tensor1D): Scalar {
  const [, experts] = routings[0]!.logits.shape;
  const [, perToken] = routings[0]!.chosen.shape;
  const probabilities = routings.map(({ logits }) => tf.softmax(lookUp(logits, tokens, { trained: true })) as Tensor2D);
  const summed: Tensor1D = tf.addN(probabilities.map((ofTokens) => tf.sum<Tensor1D>(ofTokens, 0)));
  const counts = tf.tidy(() =>
    tf.sum<Tensor1D>(gatherRows(tf.addN(routings.map(({ chosen }) => tf.sum<Tensor2D>(oneHot(chosen, experts), 1))), tokens), 0),
  );
  const all = tf.div(tf.sum(counts), perToken); // tokens, once for each router
  return tf.mul(tf.sum(tf.mul(tf.div(counts, all), tf.div(summed, all))), experts) as Scalar;
}

/** @returns the places in [rows · length] that are not padding; all of them where it is not known which are */
export function tokenPlaces({ rows, length, contents }: Pick<Batch, 'rows' | 'length' | 'contents'>): Int32Array {
  if (contents === undefined) return Int32Array.from({ length: rows * length }, (_, at) => at);
  return Int32Array.from(contents.flatMap((sequences, row) => Array.from({ length: tokensIn(sequences) }, (_, column) => row * length + column)));
}
