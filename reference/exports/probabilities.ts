/** How far llama.cpp's probabilities are from those of the engine's logits. */
import { argmax, readProbabilities, softmax } from '../loaders/probabilities.ts';
import type { Expected } from './cases.ts';

export interface Difference {
  /** Largest |Δ| of a probability. */
  probability: number;
  places: number;
  /** Places where another token is the most probable. */
  otherFirst: number;
}

/** @param file f32 [tokens of all sequences, vocabulary] */
export function differenceOf({ logits }: Expected, file: string): Difference {
  const all = readProbabilities(file, { rows: logits.length, vocabSize: logits[0]!.length });
  const found: Difference = { probability: 0, places: logits.length, otherFirst: 0 };
  for (const [place, row] of logits.entries()) {
    const ours = softmax(row);
    const theirs = all[place]!;
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
