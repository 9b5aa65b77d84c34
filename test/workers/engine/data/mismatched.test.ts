import { describe, expect, it } from 'vitest';
import type { Example } from '../../../../workers/engine/data/batch.ts';
import { mismatch } from '../../../../workers/engine/data/mismatched.ts';
import { TokenWriter } from '../../../../workers/engine/data/token-file.ts';

const answered = (prompt: number[], answer: number[]): Example => ({
  inputIds: Int32Array.from([...prompt, ...answer]),
  lossWeights: Float32Array.from([...prompt.map(() => 0), ...answer.map(() => -1)]),
});

function mismatched(examples: Example[], batches: number[][], maxLengthTokens = 16): number[][] {
  const writer = TokenWriter.temporary(2);
  for (const [line, example] of examples.entries()) writer.append(example, line + 1);
  const { examples: file } = writer.finish();
  try {
    mismatch(file, { batches: batches.map((batch) => Uint32Array.from(batch)), maxLengthTokens });
    return examples.map((_, index) => [...file.read(index).mismatched!.inputIds]);
  } finally {
    file.close();
  }
}

describe('examples of a batch', () => {
  it("get the answer of the one before in the file's order, the first that of the last", () => {
    const examples = [answered([1], [11]), answered([2], [12, 13]), answered([3, 3], [14]), answered([4], [15])];
    expect(mismatched(examples, [[2, 0, 1], [3]])).toEqual([
      [1, 14],
      [2, 11],
      [3, 3, 12, 13],
      [4, 15],
    ]);
  });

  it('with the same prompt › do not get the answer of each other, while another is there', () => {
    const examples = [answered([1], [11]), answered([1], [12]), answered([2], [13]), answered([2], [14])];
    expect(mismatched(examples, [[0, 1, 2, 3]])).toEqual([
      [1, 14],
      [1, 14],
      [2, 12],
      [2, 12],
    ]);
    expect(mismatched(examples.slice(0, 2), [[0, 1]])).toEqual([
      [1, 12],
      [1, 11],
    ]);
  });

  it('with answers that do not fit behind their prompt › get as much of them as does', () => {
    expect(mismatched([answered([1, 1, 1], [11]), answered([2], [12, 13, 14])], [[0, 1]], 4)).toEqual([
      [1, 1, 1, 12],
      [2, 11],
    ]);
  });
});
