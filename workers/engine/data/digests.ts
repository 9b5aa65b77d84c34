/**
 * Which examples are the same, by a digest of each: 64 bits of the SHA-256 of its record, so that millions fit in a few bytes each. Two different
 * examples among n share a digest with a probability of n² / 2⁶⁵: 3 in a million for 10 million examples. Only counts for the user depend on it.
 */
import { createHash } from 'node:crypto';

/** @param record an example as `example-record.ts` writes it @returns the digest as two words */
export function digestWords(record: Uint32Array): Uint32Array {
  const { buffer, byteOffset } = createHash('sha256').update(record).digest();
  return byteOffset % 4 === 0 ? new Uint32Array(buffer, byteOffset, 2) : new Uint32Array(buffer.slice(byteOffset, byteOffset + 8));
}

/** @param digests in ascending order @returns how many of them repeat an earlier one */
export function countRepeats(digests: BigUint64Array): number {
  const words = wordsOf(digests);
  let repeats = 0;
  for (let at = 2; at < words.length; at += 2) if (words[at] === words[at - 2] && words[at + 1] === words[at - 1]) repeats += 1;
  return repeats;
}

/** @param digests in ascending order, as `others` @returns how many of them, repeated ones included, are also among the others */
export function countShared(digests: BigUint64Array, others: BigUint64Array): number {
  const [mine, theirs] = [wordsOf(digests), wordsOf(others)];
  let shared = 0;
  for (let at = 0, there = 0; at < mine.length && there < theirs.length; ) {
    // The upper word is the second.
    const difference = mine[at + 1]! - theirs[there + 1]! || mine[at]! - theirs[there]!;
    if (difference > 0) there += 2;
    else {
      if (difference === 0) shared += 1;
      at += 2;
    }
  }
  return shared;
}

/** Numbers instead of BigInts, which would be an object for each comparison. */
const wordsOf = ({ buffer, byteOffset, length }: BigUint64Array): Uint32Array => new Uint32Array(buffer, byteOffset, 2 * length);
