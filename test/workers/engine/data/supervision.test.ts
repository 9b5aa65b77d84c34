import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type ExpectedSequence, learnedMask } from '../../../../reference/template-measures.ts';
import { parseExample } from '../../../../src/formats/examples.ts';
import { sequencesIn } from '../../../../workers/engine/data/sequences.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

interface Expected {
  conversations: { messages: object[]; text: string; textBeforeLastTurn: string; sequences: ExpectedSequence[] }[];
  continuations: { ids: number[]; start: number }[];
  prompts: { prompt: string; completion: string; ids: number[]; lossMask: number[]; cut: string | null }[];
}

const reference = (path: string) => fileURLToPath(new URL(`../../../fixtures/reference/templates/${path}`, import.meta.url));
const readJson = async <T>(path: string) => JSON.parse(await readFile(reference(path), 'utf8')) as T;
const today = new Date('2026-02-03T04:05:06Z');
const chat = (messages: object[]) => parseExample(JSON.stringify({ messages }), 1, 'training_file');

/** Nothing predicts the first token, so the engine never counts it; Python's masks may. */
const withoutFirst = (mask: number[]) => mask.map((value, index) => (index === 0 ? 0 : value));

describe.each(['chatml', 'chatml-generation', 'llama3', 'forgets-thoughts'])('tokenizeExample › with the template %s', (name) => {
  it('gives the ids and masks of transformers, in texts of their own where turns are rendered differently later', async () => {
    const tokenizer = await Tokenizer.open(reference(`${name}/tokenizer`));
    const template = await ChatTemplate.open(tokenizer, today);
    const { conversations } = await readJson<Expected>(`${name}/expected.json`);
    expect(conversations.length).toBeGreaterThan(5);
    for (const { messages, sequences } of conversations) {
      const tokenized = sequencesIn(await tokenizeExample(chat(messages), tokenizer, template));
      expect(tokenized.map(({ inputIds }) => [...inputIds])).toEqual(sequences.map(({ ids }) => ids));
      expect(tokenized.map(({ lossWeights }) => [...lossWeights])).toEqual(sequences.map(learnedMask));
    }
  });

  it('renders the text of transformers, with and without the generation prompt', async () => {
    const tokenizer = await Tokenizer.open(reference(`${name}/tokenizer`));
    const template = (await ChatTemplate.open(tokenizer, today))!;
    const { conversations } = await readJson<Expected>(`${name}/expected.json`);
    for (const { messages, text, textBeforeLastTurn } of conversations) {
      const example = chat(messages);
      if (example.kind !== 'chat') throw new Error('not a chat');
      expect(template.render(example.messages, { tools: null, addGenerationPrompt: false }).text).toBe(text);
      expect(template.render(example.messages.slice(0, -1), { tools: null, addGenerationPrompt: true }).text).toBe(textBeforeLastTurn);
    }
  });

  it('tokenises prompt and completion as lists of messages as TRL does', async () => {
    const tokenizer = await Tokenizer.open(reference(`${name}/tokenizer`));
    const template = await ChatTemplate.open(tokenizer, today);
    const { conversations, continuations } = await readJson<Expected>(`${name}/expected.json`);
    for (const [index, { ids, start }] of continuations.entries()) {
      const messages = conversations[index]!.messages.map(({ weight: _, ...message }: { weight?: number }) => message);
      const line = { prompt: messages.slice(0, -1), completion: messages.slice(-1) };
      const { inputIds, lossWeights } = await tokenizeExample(parseExample(JSON.stringify(line), 1, 'training_file'), tokenizer, template);
      expect([...inputIds]).toEqual(ids);
      expect([...lossWeights]).toEqual(ids.map((_, at) => (at >= start ? 1 : 0)));
    }
  });

  it('tokenises prompt and completion as TRL does', async () => {
    const tokenizer = await Tokenizer.open(reference(`${name}/tokenizer`));
    const { prompts } = await readJson<Expected>(`${name}/expected.json`);
    for (const { prompt, completion, ids, lossMask } of prompts) {
      const { inputIds, lossWeights } = await tokenizeExample({ kind: 'completion', prompt, completion }, tokenizer, null);
      expect([...inputIds]).toEqual(ids);
      expect([...lossWeights]).toEqual(withoutFirst(lossMask));
    }
  });
});

describe('tokenizeExample › a conversation', () => {
  it('is refused for a model without a chat template, with what to use instead', async () => {
    const tokenizer = await Tokenizer.open(reference('chatml/tokenizer'));
    const example = chat([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ]);
    await expect(tokenizeExample(example, tokenizer, null)).rejects.toThrow('the model has no chat template');
  });
});

describe('Tokenizer', () => {
  it('gives the ids of Python on 200 hard lines', async () => {
    const tokenizer = await Tokenizer.open(reference('chatml/tokenizer'));
    for (const { text, ids } of await readJson<{ text: string; ids: number[] }[]>('hard-lines.json'))
      expect([...(await tokenizer.encode(text, { addSpecialTokens: true })).ids], JSON.stringify(text)).toEqual(ids);
  });
});

const options = { specialTokens: {}, today };
const turns = [{ role: 'assistant' as const, content: 'ok', weight: 1 as const, extra: new Map() }];
const renderOnce = (source: string, messages = turns) =>
  new ChatTemplate(source, options).render(messages, { tools: null, addGenerationPrompt: false });

describe('ChatTemplate', () => {
  it('strips what Jinja strips around generation tags on their own lines', () => {
    // Witness: transformers 5.23 renders this to "A\nokB\n" and marks characters 2 to 4.
    const source = "A\n  {% for m in messages %}\n  {% generation %}\n{{ m['content'] }}{% endgeneration %}\nB\n{% endfor %}\n";
    expect(renderOnce(source)).toEqual({ text: 'A\nokB\n', generated: [[2, 4]] });
  });

  it('marks with other characters when the content contains its first choice', () => {
    const message = { role: 'assistant' as const, content: '\ue000\ue001 \u{1f642}', weight: 1 as const, extra: new Map() };
    const { text, generated } = renderOnce("{% generation %}{{ messages[0]['content'] }}{% endgeneration %}!", [message]);
    expect(text).toBe('\ue000\ue001 \u{1f642}!');
    expect(generated).toEqual([[0, 4]]);
  });

  it('renders the date that it was given', () => {
    expect(renderOnce("{{ strftime_now('%d %b %Y') }}").text).toBe('03 Feb 2026');
  });

  it('passes on the message with which a template refuses a conversation', () => {
    expect(() => renderOnce("{{ raise_exception('roles must alternate') }}")).toThrow('roles must alternate');
  });
});
