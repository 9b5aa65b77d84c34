/** How far llama.cpp's probabilities are from those of the engine's logits. */
import { readFileSync } from 'node:fs';
import type { Expected } from './cases.ts';

export interface Difference {
  /** Largest |Δ| of a probability. */
  probability: number;
  places: number;
  /** Places where another token is the most probable. */
  otherFirst: number;
}

function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const argmax = (row: Float32Array | Float64Array): number =>
  row.indexOf((row as Float64Array).reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY));

/** @param file f32 [tokens of all sequences, vocabulary] */
export function differenceOf({ logits }: Expected, file: string): Difference {
  const bytes = readFileSync(file);
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const size = logits[0]!.length;
  if (all.length !== logits.length * size) throw new Error(`llama.cpp gave ${all.length} probabilities, not ${logits.length} × ${size}`);
  const found: Difference = { probability: 0, places: logits.length, otherFirst: 0 };
  for (const [place, row] of logits.entries()) {
    const ours = softmax(row);
    const theirs = all.subarray(place * size, (place + 1) * size);
    for (const [id, probability] of ours.entries()) {
      const difference = Math.abs(probability - theirs[id]!);
      // Written so that NaN stays.
      if (!(difference <= found.probability)) found.probability = difference;
    }
    const [first, other] = [argmax(ours), argmax(theirs)];
    // Two tokens may be as probable as each other within the tolerance of either.
    if (first !== other && !(ours[first]! - ours[other]! <= 2 * found.probability)) found.otherFirst += 1;
  }
  return found;
}

export function compareWithLlama(name: string, { probability, otherFirst }: Difference, tolerance: number): string[] {
  return [
    ...(probability <= tolerance ? [] : [`${name}: probabilities differ by ${probability}; at most ${tolerance} is allowed`]),
    ...(otherFirst === 0 ? [] : [`${name}: another token is the most probable in ${otherFirst} places`]),
  ];
}
