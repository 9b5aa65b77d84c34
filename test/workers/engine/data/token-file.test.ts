import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Example } from '../../../../workers/engine/data/batch.ts';
import { countRepeats, countShared } from '../../../../workers/engine/data/digests.ts';
import { type IdBytes, idBytesFor } from '../../../../workers/engine/data/example-record.ts';
import { byLength, inMemory } from '../../../../workers/engine/data/example-store.ts';
import { splitMix32 } from '../../../../workers/engine/data/shuffle.ts';
import { teacherOf } from '../../../../workers/engine/data/teacher.ts';
import { TokenFile, TokenWriter } from '../../../../workers/engine/data/token-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'graft-token-file-'));
const opened: TokenFile[] = [];
afterAll(() => {
  for (const file of opened) file.close();
  rmSync(dir, { recursive: true });
});

function written(examples: readonly Example[], idBytes: IdBytes = 2): TokenFile {
  const writer = TokenWriter.temporary(idBytes);
  for (const [index, example] of examples.entries()) writer.append(example, index + 1);
  const file = writer.finish().examples;
  opened.push(file);
  return file;
}

const all = (file: TokenFile) => Array.from({ length: file.length }, (_, index) => file.read(index));
const example = (ids: number[], weights: number[] = ids.map((_, index) => Number(index > 0))): Example => ({
  inputIds: Int32Array.from(ids),
  lossWeights: Float32Array.from(weights),
});

/** Each example's whole content, as text that is quick to compare. */
const contents = (examples: readonly Example[]) =>
  examples.map(({ inputIds, lossWeights, starts, teacher }) => {
    const listed = teacher && [teacher.at, teacher.counts, teacher.ids, teacher.logProbabilities].map((values) => values.join()).join(' / ');
    return `${inputIds.join()} | ${lossWeights.join()} | ${starts?.join() ?? 'none'} | ${listed ?? 'none'}`;
  });

/** Examples of 1 to 400 tokens with ids below `vocabSize`, a third of them with weights that are neither 0 nor 1, a third with starts, a fifth with a teacher. */
function mixture(count: number, vocabSize: number): Example[] {
  const random = splitMix32(vocabSize);
  const below = (limit: number) => Math.floor(random() * limit);
  return Array.from({ length: count }, (_, index) => {
    const length = 1 + below(400);
    const ids = Array.from({ length }, () => below(vocabSize));
    const one = example(
      ids,
      ids.map(() => (index % 3 === 0 ? below(5) / 4 : Number(random() < 0.5))),
    );
    const started = index % 3 === 1 ? { ...one, starts: Int32Array.from({ length: below(4) }, (_, at) => at * 7) } : one;
    if (index % 5 !== 0) return started;
    const taught = ids.flatMap((id, at) =>
      at % 2 === 0 ? [] : [{ at, ids: [id, below(vocabSize)], logProbabilities: [-random(), Number.NEGATIVE_INFINITY] }],
    );
    return { ...started, teacher: teacherOf(taught) };
  });
}

describe('a token file', () => {
  it.each([
    [384, 2],
    [65_536, 2],
    [65_537, 4],
    [262_144, 4],
  ] as const)('of a vocabulary of %i tokens, with %i bytes for an id, gives back every example in any order', (vocabSize, idBytes) => {
    expect(idBytesFor(vocabSize)).toBe(idBytes);
    const examples = [...mixture(800, vocabSize), example([vocabSize - 1, 0, vocabSize - 1])];
    const file = written(examples, idBytes);
    expect(file.length).toBe(examples.length);
    expect(contents(all(file))).toEqual(contents(examples));
    expect([...file.lengths()]).toEqual(examples.map(({ inputIds }) => inputIds.length));
    for (const index of [799, 0, 400, 1]) expect(file.read(index)).toEqual(examples[index]);
  });

  it('keeps an example that is larger than its buffer, and what is around it', () => {
    const long = example(Array.from({ length: 700_000 }, (_, index) => index % 50_000));
    const examples = [example([1, 2, 3]), long, example([4, 5])];
    expect(contents(all(written(examples)))).toEqual(contents(examples));
  });

  it('keeps the bits of loss weights, and starts that are empty apart from none', () => {
    const weights = Float32Array.of(0, -0, Number.MIN_VALUE, 1 / 3, Number.POSITIVE_INFINITY, 1);
    const inputIds = new Int32Array(6);
    const [whole, divided] = all(
      written([
        { inputIds, lossWeights: weights },
        { inputIds, lossWeights: weights, starts: new Int32Array(0) },
      ]),
    ) as [Example, Example];
    expect([...new Uint32Array(whole.lossWeights.buffer)]).toEqual([...new Uint32Array(weights.buffer)]);
    expect('starts' in whole).toBe(false);
    expect(divided.starts).toEqual(new Int32Array(0));
  });

  it('opened again from its folder holds the same examples', () => {
    const kept = mkdtempSync(join(dir, 'kept-'));
    const examples = mixture(50, 384);
    const writer = new TokenWriter(kept, 2);
    for (const [index, one] of examples.entries()) writer.append(one, index + 1);
    const { examples: first, content } = writer.finish();
    first.close();
    const again = TokenFile.open(kept, content);
    opened.push(again);
    expect(contents(all(again))).toEqual(contents(examples));
  });

  it('without examples has none', () => {
    const file = written([]);
    expect([file.length, file.lengths().length, countRepeats(file.digests())]).toEqual([0, 0, 0]);
  });
});

describe('digests', () => {
  it('count the same repeated examples as a comparison of all their content', () => {
    const examples = mixture(2000, 3).flatMap((one, index) => (index % 4 === 0 ? [one, one] : [one]));
    const small = Array.from({ length: 3000 }, (_, index) => example([index % 700, 5]));
    const both = [...examples, ...small];
    const repeats = both.length - new Set(contents(both)).size;
    expect(countRepeats(written(both).digests())).toBe(repeats);
    expect(repeats).toBeGreaterThan(2700);
  });

  it('count the same shared examples as a comparison of all their content', () => {
    const training = mixture(1500, 50);
    const validation = [...mixture(1500, 51).slice(0, 200), ...training.slice(100, 400), ...training.slice(100, 150)];
    const seen = new Set(contents(training));
    const shared = contents(validation).filter((content) => seen.has(content)).length;
    expect(countShared(written(validation).digests(), written(training).digests())).toBe(shared);
    expect(shared).toBeGreaterThanOrEqual(350);
    expect(countShared(written(validation).digests(), written([]).digests())).toBe(0);
  });

  it('tell examples apart by a token, a loss weight, or where sequences start', () => {
    const starts = { ...example([1, 2]), starts: Int32Array.of(1) };
    expect(countRepeats(written([example([1, 2]), example([1, 3]), example([1, 2], [0, 0.5]), example([1, 2, 0]), starts]).digests())).toBe(0);
  });
});

describe('byLength', () => {
  it('gives the longest first and equally long ones in their order, as a stable sort does', () => {
    const examples = mixture(500, 384);
    const sorted = examples.toSorted((a, b) => b.inputIds.length - a.inputIds.length);
    const windows = [...byLength(inMemory(examples), 64)];
    expect(windows.map((window) => window.length)).toEqual([64, 64, 64, 64, 64, 64, 64, 52]);
    expect(windows.flat()).toEqual(sorted);
    expect([...byLength(inMemory([]), 64)]).toEqual([]);
  });
});
