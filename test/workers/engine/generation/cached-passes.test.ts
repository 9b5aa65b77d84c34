import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { CachedPasses } from '../../../../workers/engine/generation/cached-passes.ts';
import type { NewTokens } from '../../../../workers/engine/generation/token-passes.ts';
import { WholePasses } from '../../../../workers/engine/generation/whole-passes.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

/** Of a logit. */
const TOLERANCE = 1e-4;
/** Of a logit whose products read bf16, which has 8 bits. */
const BF16_TOLERANCE = 0.15;
const GRAFT_TINY = fileURLToPath(new URL('../../../../models/graft-tiny', import.meta.url));
const models = ['cases', 'families'].flatMap((kind) =>
  readdirSync(referencePath(kind)).map((name) => ({ name, modelDir: referencePath(kind, name, 'model') })),
);

const textOf = (slot: number, tokens: readonly number[], seen = 0): NewTokens => ({ slot, tokens, seen, adapter: null });
const someTokens = (length: number, { vocabSize }: { vocabSize: number }): number[] =>
  Array.from({ length }, (_, index) => (7 * index * index + 3 * index + 1) % vocabSize);

function largestDifference(one: Float32Array, other: Float32Array): number {
  expect(one).toHaveLength(other.length);
  return one.reduce((largest, value, index) => Math.max(largest, Math.abs(value - other[index]!)), 0);
}

/** Reads a text in two pieces and continues it token by token. @returns the logits after each of its tokens from the first piece on */
function inPieces(passes: CachedPasses, tokens: readonly number[], [first, second]: [number, number]): Float32Array[] {
  const read = (seen: number, end: number): Float32Array =>
    passes.read(textOf(0, tokens.slice(0, end), passes.isOutdated(seen, end) ? 0 : seen), end);
  const logits = [read(0, first), read(first, second)];
  for (let end = second + 1; end <= tokens.length; end++)
    logits.push(passes.isOutdated(end - 1, end) ? read(end - 1, end) : passes.next([textOf(0, tokens.slice(0, end), end - 1)])[0]!);
  return logits;
}

describe.each(models)('CachedPasses › of $name', ({ modelDir }) => {
  it('gives the logits that computing the whole text gives, and leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    const [cached, whole] = [new CachedPasses({ modelDir, precision: 'f32' }), new WholePasses({ modelDir, precision: 'f32' })];
    const tokens = someTokens(Math.min(20, cached.config.maxPositionTokens), cached.config);
    const pieces: [number, number] = [5, tokens.length - 8];
    const lengths = [pieces[0], ...Array.from({ length: 9 }, (_, index) => pieces[1] + index)];
    for (const [index, logits] of inPieces(cached, tokens, pieces).entries())
      expect(largestDifference(logits, whole.read(textOf(0, tokens.slice(0, lengths[index])), lengths[index]!))).toBeLessThan(TOLERANCE);
    cached.dispose();
    whole.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('CachedPasses › with weights that are stored in bf16', () => {
  it('holds them so, and computes the same in f32 and nearly the same in bf16', () => {
    const [cached, whole] = [
      new CachedPasses({ modelDir: GRAFT_TINY, precision: 'f32' }),
      new WholePasses({ modelDir: GRAFT_TINY, precision: 'f32' }),
    ];
    const halved = new CachedPasses({ modelDir: GRAFT_TINY, precision: 'bf16' });
    expect(cached.memoryBytes()).toBeLessThan(0.52 * whole.memoryBytes());
    const tokens = someTokens(24, cached.config);
    const wanted = whole.read(textOf(0, tokens), tokens.length);
    expect(largestDifference(inPieces(cached, tokens, [10, 20]).at(-1)!, wanted)).toBeLessThan(TOLERANCE);
    expect(largestDifference(inPieces(halved, tokens, [10, 20]).at(-1)!, wanted)).toBeLessThan(BF16_TOLERANCE);
    for (const passes of [cached, whole, halved]) passes.dispose();
  });
});

describe('CachedPasses › with several texts', () => {
  it('takes memory in pages as they grow, and gives it back', () => {
    const passes = new CachedPasses({ modelDir: GRAFT_TINY, precision: 'f32' });
    const weights = passes.memoryBytes();
    const tokens = someTokens(130, passes.config);
    passes.read(textOf(0, tokens), 64);
    const page = passes.memoryBytes() - weights;
    passes.read(textOf(0, tokens, 64), 130);
    passes.read(textOf(5, tokens), 1);
    expect(passes.memoryBytes() - weights).toBe(4 * page);
    passes.release(0);
    expect(passes.memoryBytes() - weights).toBe(page);
    passes.dispose();
  });

  it.each(['f32', 'bf16'] as const)('in any order and number gives each the same to the bit in %s', (precision) => {
    const passes = new CachedPasses({ modelDir: GRAFT_TINY, precision });
    const texts = Array.from({ length: 11 }, (_, slot) => someTokens(3 + 9 * slot, passes.config));
    const ready = texts.map((tokens, slot) => textOf(slot, tokens, tokens.length - 1));
    const begin = (): void => {
      for (const [slot, tokens] of texts.entries()) passes.read(textOf(slot, tokens), tokens.length - 1);
    };
    begin();
    const alone = ready.map((text) => passes.next([text])[0]!.slice());
    begin();
    expect(passes.next(ready)).toEqual(alone);
    expect(passes.next(ready.toReversed())).toEqual(alone.toReversed());
    passes.dispose();
  });
});
