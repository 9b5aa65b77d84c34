import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { type ExpectedSequence, learnedMask } from '../../../../reference/template-measures.ts';
import { parseExample } from '../../../../src/formats/examples.ts';
import { sequencesIn } from '../../../../workers/engine/data/sequences.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

interface Expected {
  messages: object[];
  tools: object[] | null;
  sequences: ExpectedSequence[];
  /** All that TRL learns, as text; null where weights say what is learned. */
  trl: string | null;
}

const MODELS = { 'r1-distill': referencePath('thinking', 'r1-distill', 'tokenizer'), qwen3: referencePath('tokenizers', 'qwen') };

async function learn(name: keyof typeof MODELS, messages: object[], tools: object[] | null = null) {
  const tokenizer = await Tokenizer.open(MODELS[name]);
  const source = await readFile(referencePath('chat-templates', name, 'chat_template.jinja'), 'utf8');
  const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today: new Date(0) });
  const line = JSON.stringify({ messages, ...(tools === null ? {} : { tools }) });
  const example = await tokenizeExample(parseExample(line, 1, 'training_file'), tokenizer, template);
  const learned = example.inputIds.filter((_, index) => example.lossWeights[index] !== 0);
  return { example, text: await tokenizer.decode(learned, { specialTokens: true }) };
}

describe.each(Object.keys(MODELS) as (keyof typeof MODELS)[])('tokenizeExample › with a template that drops reasoning (%s)', (name) => {
  const expected = readReference<Expected[]>('thinking', name, 'expected.json');

  it('trains each turn after what the model sees in use', async () => {
    for (const { messages, tools, sequences } of expected) {
      const found = sequencesIn((await learn(name, messages, tools)).example);
      expect(found.map(({ inputIds }) => [...inputIds])).toEqual(sequences.map(({ ids }) => ids));
      expect(found.map(({ lossWeights }) => [...lossWeights])).toEqual(sequences.map(learnedMask));
    }
  });

  it('learns the text that TRL learns, but not the line break after the end of a turn', async () => {
    for (const { messages, tools, trl } of expected)
      if (trl !== null) expect((await learn(name, messages, tools)).text).toBe(trl.replaceAll('<|im_end|>\n', '<|im_end|>'));
  });
});

describe('tokenizeExample › with the template of R1', () => {
  const asked = { role: 'user', content: '2 + 2' };

  it('says that the content is trained as it is in the file', async () => {
    const { example } = await learn('r1-distill', [asked, { role: 'assistant', content: '<think>\nadd\n</think>\n\n4' }]);
    expect(example.notices).toEqual([{ kind: 'own_reasoning' }]);
  });

  it('says of a turn without reasoning that the generation prompt shows more', async () => {
    const { example } = await learn('r1-distill', [asked, { role: 'assistant', content: '4' }]);
    expect(example.notices).toEqual([{ kind: 'prompt_differs', detail: JSON.stringify('<think>\n') }]);
  });

  it('refuses reasoning under a key that the template does not know', async () => {
    const turn = { role: 'assistant', content: '4', reasoning_content: 'two and two' };
    await expect(learn('r1-distill', [asked, turn])).rejects.toThrow('(message 2) of which the chat template leaves out its reasoning "two and two"');
  });
});

describe('tokenizeExample › with a generation prompt that opens the reasoning', () => {
  // As Qwen 3.5's: TRL's template for training it marks the turn from <think> on, also where the generation prompt has that already.
  const turn = "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' + m.content }}";
  const source = (opened: string) =>
    `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}${turn}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n${opened}' }}{% endif %}`;

  it.each(['<think>\\n', '<think>\\n\\n</think>\\n\\n', ''])('learns the whole block (%s)', async (opened) => {
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', 'qwen'));
    const template = new ChatTemplate(source(opened), { specialTokens: tokenizer.specialTokens, today: new Date(0) });
    const messages = [
      { role: 'user', content: '2 + 2' },
      { role: 'assistant', content: '4' },
    ];
    const { inputIds, lossWeights, notices } = await tokenizeExample(
      parseExample(JSON.stringify({ messages }), 1, 'training_file'),
      tokenizer,
      template,
    );
    const learned = inputIds.filter((_, index) => lossWeights[index] !== 0);
    expect(await tokenizer.decode(learned, { specialTokens: true })).toBe('<think>\n\n</think>\n\n4<|im_end|>');
    expect(notices).toEqual([]);
  });
});
