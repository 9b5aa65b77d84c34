/** Probabilities of tokens: the engine's, from its logits, and those that llama.cpp wrote into a file. */
import { readFileSync } from 'node:fs';

export function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

export const argmax = (row: Float32Array | Float64Array): number =>
  row.indexOf((row as Float64Array).reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY));

/** @param file f32 [rows, vocabulary] */
export function readProbabilities(file: string, { rows, vocabSize }: { rows: number; vocabSize: number }): Float32Array[] {
  const bytes = readFileSync(file);
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (all.length !== rows * vocabSize) throw new Error(`llama.cpp gave ${all.length} probabilities, not ${rows} × ${vocabSize}`);
  return Array.from({ length: rows }, (_, row) => all.subarray(row * vocabSize, (row + 1) * vocabSize));
}
