import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type ChatExample, parseExample } from '../../../../src/formats/examples.ts';
import { ChatTemplate } from '../../../../workers/engine/data/chat-template.ts';
import { tokenizeExample } from '../../../../workers/engine/data/supervision.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { readReference, referencePath } from '../reference.ts';

type Message = Record<string, unknown> & { role: string };

interface Tried {
  tools: Record<string, unknown>;
  conversations: { messages: Message[]; tools: string[] | null }[];
}

type Refused = { refused: string };
type Rendered = { text: string; textBeforeLastTurn: string | null; ids: number[]; learned: [number, number][] | null };

interface Expected {
  tokenizer: string;
  template: string;
  conversations: (Refused | Rendered)[];
}

const families = ['llama2', 'llama3.1', 'llama3.2', 'mistral-v0.3', 'qwen2.5', 'qwen3', 'gemma2', 'gemma3', 'phi3', 'smollm2', 'smollm3', 'olmo2'];
const fallbacks = ['zephyr', 'zephyr-neox'];
const today = new Date('2026-02-03T04:05:06Z');

describe.each([...families, ...fallbacks])('tokenizeExample › with the chat template of %s', (name) => {
  it("gives apply_chat_template's text and ids and TRL's mask, or refuses as they do", async () => {
    const { tokenizer: kind, template: file, conversations } = readReference<Expected>('chat-templates', name, 'expected.json');
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
    const source = await readFile(referencePath('chat-templates', file, 'chat_template.jinja'), 'utf8');
    const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today });
    const examples = readExamples();
    expect(conversations).toHaveLength(examples.length);
    for (const [index, example] of examples.entries())
      expect(await outcome(example, tokenizer, template), `conversation ${index + 1}`).toEqual(wanted(conversations[index]!));
  });
});

describe('tokenizeExample › of an answer that begins with line ends', () => {
  it('where the first of them would join the one of the prompt refuses, and says so', async () => {
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', 'qwen'));
    const source = await readFile(referencePath('chat-templates', 'qwen2.5', 'chat_template.jinja'), 'utf8');
    const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today });
    const answered = (content: string) => {
      const messages = [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content },
      ];
      return tokenizeExample(parseExample(JSON.stringify({ messages }), 1, 'training_file'), tokenizer, template);
    };
    await expect(answered('\n\nHello')).rejects.toThrow('its first or last token joins it to the text around it');
    await expect(answered('Hello\n\n')).resolves.toBeDefined();
  });
});

/** The conversations as lines of a file, the arguments of calls as OpenAI writes them: JSON in a string. */
function readExamples(): ChatExample[] {
  const { tools: known, conversations } = readReference<Tried>('chat-templates', 'conversations.json');
  return conversations.map(({ messages, tools }) => {
    const line = { messages: messages.map(withArgumentsInStrings), ...(tools === null ? {} : { tools: tools.map((tool) => known[tool]) }) };
    const example = parseExample(JSON.stringify(line), 1, 'training_file');
    if (example.kind !== 'chat') throw new Error('not a chat');
    return example;
  });
}

function withArgumentsInStrings(message: Message): Message {
  const calls = message['tool_calls'] as { function: { arguments: unknown } }[] | undefined;
  if (calls === undefined) return message;
  return {
    ...message,
    tool_calls: calls.map((call) => ({ ...call, function: { ...call.function, arguments: JSON.stringify(call.function.arguments) } })),
  };
}

async function outcome(example: ChatExample, tokenizer: Tokenizer, template: ChatTemplate) {
  const render = (count: number, addGenerationPrompt: boolean) => {
    try {
      return template.render(example.messages.slice(0, count), { tools: example.tools, addGenerationPrompt }).text;
    } catch (error) {
      return { refused: (error as Error).message };
    }
  };
  const text = render(example.messages.length, false);
  if (typeof text !== 'string') return text;
  const before = render(example.messages.length - 1, true);
  const tokenized = await tokenizeExample(example, tokenizer, template).catch((error: Error) => error);
  return {
    text,
    textBeforeLastTurn: typeof before === 'string' ? before : null,
    ...(tokenized instanceof Error
      ? { refused: /cannot be told apart|is refused by the model's chat template/.test(tokenized.message) || tokenized.message }
      : { ids: [...tokenized.inputIds], learned: [...tokenized.lossMask] }),
  };
}

function wanted(expected: Refused | Rendered) {
  if ('refused' in expected) return expected;
  const { text, textBeforeLastTurn, ids, learned } = expected;
  if (learned === null) return { text, textBeforeLastTurn, refused: true };
  const mask = ids.map((_, index) => (learned.some(([from, to]) => index >= from && index < to) ? 1 : 0));
  return { text, textBeforeLastTurn, ids, learned: mask };
}
