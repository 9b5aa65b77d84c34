import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { readReference, referencePath } from '../reference.ts';

interface Corpus {
  seed: number;
  lines: number;
  block: number;
  pieces: string[];
}

interface Expected {
  first: { text: string; ids: number[] }[];
  blocks: { ids: string; offsets: string; decoded: string }[];
}

const kinds = ['gpt2', 'gpt-neox', 'llama3', 'qwen', 'smollm', 'llama2', 'phi3', 'mistral', 'gemma'];

/** The lines that `hard_corpus.py` draws from the same pieces. */
function drawLines({ seed, lines, pieces }: Corpus): string[] {
  let state = seed;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % below;
  };
  return Array.from({ length: lines }, () => Array.from({ length: 1 + draw(16) }, () => pieces[draw(pieces.length)]).join(''));
}

const hash = (lines: string[]) =>
  createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');

describe.each(kinds)('Tokenizer › built as the family %s builds its own', (kind) => {
  it("on 10,000 hard lines gives Python's ids, offsets and texts", { timeout: 120_000 }, async () => {
    const corpus = readReference<Corpus>('tokenizers', 'corpus.json');
    const { first, blocks } = readReference<Expected>('tokenizers', kind, 'expected.json');
    const lines = drawLines(corpus);
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
    for (const [index, { text, ids }] of first.entries()) {
      expect(lines[index]).toBe(text);
      expect([...(await tokenizer.encode(text, { addSpecialTokens: true })).ids], JSON.stringify(text)).toEqual(ids);
    }
    expect(blocks).toHaveLength(lines.length / corpus.block);
    for (const [index, block] of blocks.entries())
      expect(await hashes(tokenizer, lines.slice(index * corpus.block, (index + 1) * corpus.block))).toEqual(block);
  });
});

async function hashes(tokenizer: Tokenizer, lines: string[]) {
  const plain = await Promise.all(lines.map((line) => tokenizer.encode(line, { addSpecialTokens: false })));
  const decoded = await Promise.all(plain.map(({ ids }) => tokenizer.decode(ids)));
  return {
    ids: hash(plain.map(({ ids }) => ids.join(' '))),
    offsets: hash(plain.map(({ offsets }) => offsets.map((pair) => pair.join('-')).join(' '))),
    decoded: hash(decoded.map((text) => JSON.stringify(text))),
  };
}
