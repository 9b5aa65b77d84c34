import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

interface Pair {
  prompt: string;
  completion: string;
}

type Expected = Record<string, { first: { ids: number[]; start: number }[]; sha256: string }>;

const pairs = readReference<Pair[]>('prompts', 'pairs.json');
const expected = readReference<Expected>('prompts', 'expected.json');
const open = (kind: string) => Tokenizer.open(kind.endsWith('-eos') ? referencePath('prompts', kind) : referencePath('tokenizers', kind));

async function learned(pair: Pair, tokenizer: Tokenizer) {
  const { inputIds, lossWeights, notices } = await tokenizeExample({ kind: 'completion', ...pair }, tokenizer, null);
  const start = lossWeights.indexOf(1);
  // The first token is never learned; where TRL counts it, the completion starts there all the same.
  expect([...lossWeights.subarray(start)].every((weight) => weight === 1)).toBe(true);
  return { ids: [...inputIds], start, notices };
}

describe('tokenizeExample › 300 short prompts and completions', () => {
  it.each(Object.keys(expected))('with the tokenizer %s have the ids of TRL, and are learned from the same token on', async (kind) => {
    const tokenizer = await open(kind);
    const { first, sha256 } = expected[kind]!;
    const found = await Promise.all(pairs.map((pair) => learned(pair, tokenizer)));
    const starts = await Promise.all(
      found.map(async ({ ids, start, notices }, index) => {
        if (start > 1) return start;
        // Start 0 and 1 look alike without the first token's weight; the prompt tells them apart.
        const { ids: prompt } = await tokenizer.encode(pairs[index]!.prompt, { addSpecialTokens: true });
        expect(notices.length > 0 || prompt.length === 1).toBe(true);
        return prompt[0] === ids[0] ? 1 : 0;
      }),
    );
    expect(found.slice(0, first.length).map(({ ids }, index) => ({ ids, start: starts[index] }))).toEqual(first);
    const lines = found.map(({ ids }, index) => `${ids.join(' ')} ${starts[index]}\n`);
    expect(createHash('sha256').update(lines.join('')).digest('hex')).toBe(sha256);
  });

  it('say which end of the prompt is left out, where its tokens are not the beginning of the whole', async () => {
    const tokenizer = await open('gpt2');
    const { notices } = await learned({ prompt: 'in the ', completion: 'garden' }, tokenizer);
    expect(notices).toEqual([{ kind: 'prompt_cut', detail: '" "' }]);
    expect((await learned({ prompt: 'in the', completion: ' garden' }, tokenizer)).notices).toEqual([]);
  });

  it('say with a tokenizer that ends every text that the end of the prompt is left out', async () => {
    const { notices } = await learned({ prompt: 'Answer:', completion: ' yes' }, await open('gpt2-eos'));
    expect(notices).toEqual([{ kind: 'prompt_cut', detail: '"<|endoftext|>"' }]);
  });
});
