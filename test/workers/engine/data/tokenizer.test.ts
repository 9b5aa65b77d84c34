import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { corpusBlocks, type ExpectedTokens, hashes, TOKENIZER_KINDS } from '../../../../reference/tokenizer-measures.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

describe.each(TOKENIZER_KINDS)('Tokenizer › of the kind that %s uses', (kind) => {
  it("gives Python's ids, offsets and texts on 10,000 hard lines", { timeout: 120_000 }, async () => {
    const { first, blocks: wanted } = readReference<ExpectedTokens>('tokenizers', kind, 'expected.json');
    const blocks = corpusBlocks();
    const lines = blocks.flat();
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
    for (const [index, { text, ids }] of first.entries()) {
      expect(lines[index]).toBe(text);
      expect([...(await tokenizer.encode(text, { addSpecialTokens: true })).ids], JSON.stringify(text)).toEqual(ids);
    }
    expect(lines).toHaveLength(10_000);
    expect(wanted).toHaveLength(blocks.length);
    for (const [index, block] of blocks.entries()) expect(await hashes(tokenizer, block)).toEqual(wanted[index]);
  });
});
