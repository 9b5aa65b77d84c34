import { describe, expect, it } from 'vitest';
import type { Example } from '../../../../workers/engine/data/batch.ts';
import { microBatches } from '../../../../workers/engine/data/batches.ts';
import { inMemory } from '../../../../workers/engine/data/example-store.ts';
import { joinSequences, longestSequence, sequencesIn } from '../../../../workers/engine/data/sequences.ts';
import { shorten } from '../../../../workers/engine/data/shorten.ts';

/** A sequence of counted ids whose last tokens are learned. */
const sequence = (length: number, learned = 1, first = 1): Example => ({
  inputIds: Int32Array.from({ length }, (_, index) => first + index),
  lossWeights: Float32Array.from({ length }, (_, index) => (index >= length - learned ? 1 : 0)),
});
const ids = (examples: readonly Example[]) => examples.map(({ inputIds }) => [...inputIds]);

describe('an example of several sequences', () => {
  const parts = [sequence(3), sequence(5, 2, 10), sequence(4, 4, 20)];
  const joined = joinSequences(parts);

  it('is split into the sequences that it was joined from, none of whose first tokens is learned', () => {
    expect([...joined.starts!]).toEqual([0, 3, 8]);
    expect(ids(sequencesIn(joined))).toEqual(ids(parts));
    expect(sequencesIn(joined).map(({ lossWeights }) => [...lossWeights])).toEqual([
      [0, 0, 1],
      [0, 0, 0, 1, 1],
      [0, 1, 1, 1],
    ]);
    expect(longestSequence(joined)).toBe(5);
  });

  it('is fed to a pass like as many examples, so its loss is the sum of theirs', () => {
    const passes = (...examples: Example[]) => [...microBatches(inMemory(examples))];
    expect(passes(joined, sequence(6, 1, 40))).toEqual(passes(...parts, sequence(6, 1, 40)));
  });

  it('of one sequence is that sequence', () => {
    expect(joinSequences([sequence(3)])).toEqual(sequence(3));
    const one = sequence(3);
    expect(sequencesIn(one)).toEqual([one]);
  });
});

describe('shorten', () => {
  const example = joinSequences([sequence(3), sequence(9, 2, 10), sequence(4, 1, 20)]);

  it('cuts only the sequences that are too long, and leaves out those that lose all that is learned', () => {
    expect(ids(sequencesIn(shorten(example, { maxLengthTokens: 5, truncation: 'left' }) as Example))).toEqual([
      [1, 2, 3],
      [14, 15, 16, 17, 18],
      [20, 21, 22, 23],
    ]);
    expect(ids(sequencesIn(shorten(example, { maxLengthTokens: 5, truncation: 'right' }) as Example))).toEqual([
      [1, 2, 3],
      [20, 21, 22, 23],
    ]);
  });

  it('keeps an example none of whose sequences is too long, however long they are together', () => {
    expect(shorten(example, { maxLengthTokens: 9, truncation: 'error' })).toBe(example);
    expect(shorten(example, { maxLengthTokens: 8, truncation: 'error' })).toBe('too long');
    expect(shorten(example, { maxLengthTokens: 8, truncation: 'drop' })).toBeNull();
  });

  it('keeps one without a learned token, for the count of examples with nothing to learn', () => {
    const cut = shorten(sequence(9, 1), { maxLengthTokens: 5, truncation: 'right' }) as Example;
    expect([...cut.lossWeights]).toEqual([0, 0, 0, 0, 0]);
  });
});
