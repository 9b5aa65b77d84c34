/** Tokenised examples, wherever they are kept: on disk (`token-file.ts`), or a few in memory. */
import type { Example } from './batch.ts';

export interface ExampleStore {
  /** Number of examples. */
  readonly length: number;
  /** @param index from 0, in the file's order */
  read(index: number): Example;
  /** @returns the number of tokens of each example, [length] */
  lengths(): Uint32Array;
}

/** A few examples in memory, such as a step's. */
export function inMemory(examples: readonly Example[]): ExampleStore {
  return {
    length: examples.length,
    read: (index) => examples[index]!,
    lengths: () => Uint32Array.from(examples, ({ inputIds }) => inputIds.length),
  };
}

/** Makes each example when it is read. */
export function mapped(examples: ExampleStore, make: (example: Example) => Example): ExampleStore {
  const read = (index: number): Example => make(examples.read(index));
  return {
    length: examples.length,
    read,
    lengths: () => Uint32Array.from({ length: examples.length }, (_, index) => read(index).inputIds.length),
  };
}

/** @returns the first examples, at most `count` */
export const firstExamples = (examples: ExampleStore, count: number): Example[] =>
  Array.from({ length: Math.min(count, examples.length) }, (_, index) => examples.read(index));

/**
 * Visits all examples, the longest first and equally long ones in the file's order, with `size` of them in memory at a time. It sorts numbers of
 * examples, 8 bytes for each outside the heap.
 */
export function* byLength(examples: ExampleStore, size: number): Generator<Example[]> {
  const order = longestFirst(examples.lengths());
  for (let first = 0; first < order.length; first += size) yield Array.from(order.subarray(first, first + size), (index) => examples.read(index));
}

/** A counting sort, which is stable. @returns the indices of `lengths` */
function longestFirst(lengths: Uint32Array): Uint32Array {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const next = new Uint32Array(longest + 1); // next[n]: where the next example of n tokens goes
  for (const length of lengths) next[length]! += 1;
  for (let length = longest, before = 0; length >= 0; length--) {
    const count = next[length]!;
    next[length] = before;
    before += count;
  }
  const order = new Uint32Array(lengths.length);
  for (let index = 0; index < lengths.length; index++) order[next[lengths[index]!]!++] = index;
  return order;
}
