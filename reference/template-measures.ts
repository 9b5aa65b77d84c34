/** Compares templates, ids and loss masks with those of transformers and TRL, on conversations of every kind. */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { type ChatExample, parseExample } from '../src/formats/examples.ts';
import { IncompleteTurn } from '../workers/engine/data/incomplete-turns.ts';
import { sequencesIn } from '../workers/engine/data/sequences.ts';
import { tokenizeExample } from '../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { TemplateRefusal } from '../workers/engine/data/turns.ts';
import { readReference, referencePath } from './fixtures.ts';

type Message = Record<string, unknown> & { role: string };

interface Conversations {
  tools: Record<string, unknown>;
  conversations: { messages: Message[]; tools: string[] | null }[];
}

type Refused = { refused: string };
/** A text of its own: its tokens, and the runs of them [from, to) that are learned. */
export interface ExpectedSequence {
  ids: number[];
  learned: [number, number][];
}
type Rendered = { text: string; textBeforeLastTurn: string | null } & ({ incomplete: true } | { sequences: ExpectedSequence[] | null });

interface Expected {
  tokenizer: string;
  template: string;
  conversations: (Refused | Rendered)[];
}

export const TEMPLATE_FAMILIES = [
  'llama2',
  'llama3.1',
  'llama3.2',
  'mistral-v0.3',
  'qwen2.5',
  'qwen3',
  'gemma2',
  'gemma3',
  'phi3',
  'smollm2',
  'smollm3',
  'olmo2',
];
export const TEMPLATE_FALLBACKS = ['zephyr', 'zephyr-neox'];
export const today = new Date('2026-02-03T04:05:06Z');

/** @returns each conversation's outcome in the engine, and the outcome in transformers and TRL */
export async function templateOutcomes(name: string): Promise<{ here: unknown; wanted: unknown }[]> {
  const { tokenizer: kind, template: file, conversations } = readReference<Expected>('chat-templates', name, 'expected.json');
  const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
  const source = await readFile(referencePath('chat-templates', file, 'chat_template.jinja'), 'utf8');
  const template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today });
  const examples = readExamples();
  if (examples.length !== conversations.length) throw new Error(`${name} has ${conversations.length} outcomes for ${examples.length} conversations`);
  return Promise.all(
    examples.map(async (example, index) => ({ here: await outcome(example, tokenizer, template), wanted: wanted(conversations[index]!) })),
  );
}

/** @returns the number of conversations, and of those whose text, ids, mask or refusal differs */
export async function templateDifference(name: string): Promise<{ tried: number; differing: number }> {
  const outcomes = await templateOutcomes(name);
  return { tried: outcomes.length, differing: outcomes.filter(({ here, wanted }) => !isDeepStrictEqual(here, wanted)).length };
}

/** The conversations as lines of a file, with the arguments of calls as OpenAI writes them: JSON in a string. */
function readExamples(): ChatExample[] {
  const { tools: known, conversations } = readReference<Conversations>('chat-templates', 'conversations.json');
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
  const rendered = { text, textBeforeLastTurn: typeof before === 'string' ? before : null };
  if (tokenized instanceof IncompleteTurn) return { ...rendered, incomplete: true };
  if (tokenized instanceof Error) return { ...rendered, refused: tokenized instanceof TemplateRefusal || tokenized.message };
  return { ...rendered, sequences: sequencesIn(tokenized).map(({ inputIds, lossWeights }) => ({ ids: [...inputIds], learned: [...lossWeights] })) };
}

function wanted(expected: Refused | Rendered) {
  if ('refused' in expected || 'incomplete' in expected) return expected;
  const { text, textBeforeLastTurn, sequences } = expected;
  if (sequences === null) return { text, textBeforeLastTurn, refused: true };
  return { text, textBeforeLastTurn, sequences: sequences.map((sequence) => ({ ids: sequence.ids, learned: learnedMask(sequence) })) };
}

/** Nothing predicts the first token, so the engine never counts it. */
export const learnedMask = ({ ids, learned }: ExpectedSequence): number[] =>
  ids.map((_, index) => (index > 0 && learned.some(([from, to]) => index >= from && index < to) ? 1 : 0));
