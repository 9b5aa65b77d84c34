/** Compares the tokenizer with Python's, on lines that are hard to tokenise. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { readReference } from './fixtures.ts';

interface Corpus {
  seed: number;
  lines: number;
  block: number;
  pieces: string[];
}

export interface ExpectedTokens {
  first: { text: string; ids: number[] }[];
  blocks: { ids: string; offsets: string; decoded: string }[];
}

export const TOKENIZER_KINDS = ['gpt2', 'gpt-neox', 'llama3', 'qwen', 'smollm', 'llama2', 'phi3', 'mistral', 'gemma'];

/** Draws the same lines as `hard_corpus.py`, from the same pieces. */
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

export async function hashes(tokenizer: Tokenizer, lines: string[]) {
  const plain = await Promise.all(lines.map((line) => tokenizer.encode(line, { addSpecialTokens: false })));
  const decoded = await Promise.all(plain.map(({ ids }) => tokenizer.decode(ids)));
  return {
    ids: hash(plain.map(({ ids }) => ids.join(' '))),
    offsets: hash(plain.map(({ offsets }) => offsets.map((pair) => pair.join('-')).join(' '))),
    decoded: hash(decoded.map((text) => JSON.stringify(text))),
  };
}

/** The corpus in blocks; the fixtures have hashes for each of them. */
export function corpusBlocks(): string[][] {
  const corpus = readReference<Corpus>('tokenizers', 'corpus.json');
  const lines = drawLines(corpus);
  return Array.from({ length: lines.length / corpus.block }, (_, index) => lines.slice(index * corpus.block, (index + 1) * corpus.block));
}

/** @returns the number of lines, and of those in a block with an id, an offset or a text that differs from Python's */
export async function tokenizerDifference(tokenizer: Tokenizer, kind: string): Promise<{ tried: number; differing: number }> {
  const { blocks: wanted } = readReference<ExpectedTokens>('tokenizers', kind, 'expected.json');
  const blocks = corpusBlocks();
  const sum = { tried: 0, differing: 0 };
  for (const [index, lines] of blocks.entries()) {
    sum.tried += lines.length;
    if (!isDeepStrictEqual(await hashes(tokenizer, lines), wanted[index])) sum.differing += lines.length;
  }
  return sum;
}
