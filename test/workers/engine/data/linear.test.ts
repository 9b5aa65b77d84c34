import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { parseExample } from '../../../../src/formats/examples.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

afterEach(() => vi.restoreAllMocks());

/** @returns the characters given to the tokenizer for a conversation of so many questions and answers, and those of its text */
async function encodedCharacters(name: string, kind: string, turns: number) {
  const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
  const source = await readFile(referencePath('chat-templates', name, 'chat_template.jinja'), 'utf8');
  const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today: new Date(0) });
  const messages = Array.from({ length: turns }, (_, index) => [
    { role: 'user', content: `Question ${index}` },
    { role: 'assistant', content: `Answer ${index}` },
  ]).flat();
  const encode = vi.spyOn(tokenizer, 'encode');
  const { inputIds } = await tokenizeExample(parseExample(JSON.stringify({ messages }), 1, 'training_file'), tokenizer, template);
  const encoded = encode.mock.calls.reduce((sum, [text]) => sum + text.length, 0);
  return { encoded, text: (await tokenizer.decode(inputIds, { specialTokens: true })).length };
}

describe('tokenizeExample › a long conversation', () => {
  it.each([
    ['qwen2.5', 'qwen'],
    ['smollm3', 'smollm'],
    ['zephyr', 'gpt2'],
    ['phi3', 'gpt2'],
  ])('gives the tokenizer each character once, whether the template marks turns or not (%s)', async (name, kind) => {
    for (const turns of [10, 40]) {
      const { encoded, text } = await encodedCharacters(name, kind, turns);
      expect(encoded / text).toBeCloseTo(1, 1);
    }
  });
});
