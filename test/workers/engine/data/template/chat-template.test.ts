import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../../reference/fixtures.ts';
import { TEMPLATE_FALLBACKS, TEMPLATE_FAMILIES, templateOutcomes, today } from '../../../../../reference/template-measures.ts';
import { parseExample } from '../../../../../src/formats/examples.ts';
import { tokenizeExample } from '../../../../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../../workers/engine/data/tokenizer.ts';

describe.each([...TEMPLATE_FAMILIES, ...TEMPLATE_FALLBACKS])('tokenizeExample › with the chat template of %s', (name) => {
  it("gives apply_chat_template's text and ids and TRL's mask, or refuses as they do", async () => {
    const outcomes = await templateOutcomes(name);
    expect(outcomes.length).toBeGreaterThan(20);
    for (const [index, { here, wanted }] of outcomes.entries()) expect(here, `conversation ${index + 1}`).toEqual(wanted);
  });
});

describe('tokenizeExample › an answer that begins with line breaks', () => {
  it('is learned with the token that also covers the end of the prompt, as with marks in TRL, and says so', async () => {
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', 'qwen'));
    const source = await readFile(referencePath('chat-templates', 'qwen2.5', 'chat_template.jinja'), 'utf8');
    const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today });
    const answered = async (content: string) => {
      const messages = [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content },
      ];
      const { inputIds, lossWeights, notices } = await tokenizeExample(
        parseExample(JSON.stringify({ messages }), 1, 'training_file'),
        tokenizer,
        template,
      );
      const learned = await tokenizer.decode(
        inputIds.filter((_, index) => lossWeights[index] === 1),
        { specialTokens: true },
      );
      return { learned, notices };
    };
    expect(await answered('\n\nHello')).toEqual({
      learned: '\n\n\nHello<|im_end|>',
      notices: [{ kind: 'prompt_merged', detail: JSON.stringify('\n') }],
    });
    expect(await answered('Hello\n\n')).toEqual({ learned: 'Hello\n\n<|im_end|>', notices: [] });
  });
});
