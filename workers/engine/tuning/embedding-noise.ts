/** Noise on the embeddings while training: NEFTune (Jain et al. 2023). */
import type { Parameters } from '../model/parameters.ts';
import type { GridContent } from '../model/token-grid.ts';
import { statelessUniform } from '../tensorflow/native.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { keyOfModule } from './low-rank.ts';

/**
 * How far an embedding's elements may be moved: α/√(L·hidden), where L is the number of tokens of the text that the token belongs to, without virtual tokens.
 * transformers counts a batch's padding too; here a text has the noise that it would have alone, whatever shares its pass.
 * @returns [rows · length]; 0 for virtual tokens
 */
export function noiseScales(
  { rows, length, inputIds, segments }: GridContent,
  { alpha, hiddenSize, vocabSize }: { alpha: number; hiddenSize: number; vocabSize: number },
): Float32Array {
  const scales = new Float32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const counts = new Map<number, number>();
    const textOf = (at: number): number => segments?.[at] ?? 0;
    const places = Array.from({ length }, (_, column) => row * length + column).filter((at) => inputIds[at]! < vocabSize);
    for (const at of places) counts.set(textOf(at), (counts.get(textOf(at)) ?? 0) + 1);
    for (const at of places) scales[at] = alpha / Math.sqrt(counts.get(textOf(at))! * hiddenSize);
  }
  return scales;
}

/**
 * @param scales [rows · length], from `noiseScales`
 * @param key    [2] int32, the pass's; the same key draws the same noise
 */
export const withEmbeddingNoise = (parameters: Parameters, { scales, key }: { scales: Tensor1D; key: Tensor1D }): Parameters => ({
  ...parameters,
  embeddingNoise(x: Tensor2D): Tensor2D {
    const between0And1 = statelessUniform(x.shape, keyOfModule(key, 'embedding noise'));
    return tf.mul(tf.sub(tf.mul(between0And1, 2), 1), tf.reshape(scales, [-1, 1]));
  },
});
