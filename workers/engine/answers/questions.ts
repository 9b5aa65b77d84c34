/** What is asked: sample prompts, and held-out examples without the answer that they end with. */
import { createReadStream } from 'node:fs';
import { REFERENCE_ANSWER, type SamplePrompt } from '../../../src/formats/evaluations.ts';
import { ExampleKeys } from '../../../src/formats/example-keys.ts';
import { exampleError } from '../../../src/formats/example-refusal.ts';
import { parseExample, type TrainingExample } from '../../../src/formats/examples.ts';
import { judgeLines } from '../../../src/formats/judged-lines.ts';
import { splitLines } from '../../../src/formats/lines.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ChatTemplate } from '../data/template/chat-template.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Conversation, renderMessages } from '../data/turns.ts';

export interface QuestionOptions {
  tokenizer: Tokenizer;
  template: ChatTemplate | null;
  /** The model's context. An answer needs room in it too. */
  contextTokens: number;
}

export interface Question {
  prompt: Int32Array;
  /** The line that it is from, as graders see it. */
  item: Readonly<Record<string, unknown>>;
}

/** @returns the tokens of each prompt. @throws Refusal `invalid_sample_prompts` */
export function samplePrompts(prompts: readonly SamplePrompt[], options: QuestionOptions): Promise<Int32Array[]> {
  return Promise.all(
    prompts.map(async (prompt, index) => {
      try {
        const tokens = typeof prompt === 'string' ? await textTokens(prompt, options) : await conversationTokens(conversationOf(prompt), options);
        if (tokens.length < options.contextTokens) return tokens;
        throw new Error(`has ${tokens.length} tokens; the model's context is ${options.contextTokens}`);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        const param = `sample_prompts.${index}`;
        throw new Refusal('invalid_sample_prompts', `${param} ${(error as Error).message}`, { param });
      }
    }),
  );
}

const conversationOf = (messages: Exclude<SamplePrompt, string>): Conversation => ({
  messages: messages.map((message) => ({ ...message, weight: 1, extra: new Map() })),
  tools: null,
  templateKwargs: new Map(),
});

/**
 * Reads a file of examples, from its beginning, until there are enough.
 * @returns them, and how many before them were left out because their prompt fills the model's context
 * @throws Refusal `invalid_evaluation_file`
 */
export async function questionsOf(path: string, maxExamples: number, options: QuestionOptions): Promise<{ questions: Question[]; leftOut: number }> {
  const questions: Question[] = [];
  let leftOut = 0;
  const keys = new ExampleKeys(options.template?.keys);
  const lines = splitLines(createReadStream(path), { code: 'invalid_evaluation_file', param: 'evaluation_file' });
  const parse = (line: string, number: number) => ({ line, example: parseExample(line, number, 'evaluation_file', keys) });
  for await (const judged of judgeLines(lines, parse)) {
    if ('refusal' in judged) throw judged.refusal;
    const { line, example } = judged.example;
    const prompt = await promptOf(example, options).catch((error: Error) => {
      throw error instanceof Refusal ? error : exampleError('evaluation_file', `line ${judged.lineNumber} ${error.message}`);
    });
    if (prompt.length >= options.contextTokens) leftOut += 1;
    else questions.push({ prompt, item: { ...(JSON.parse(line) as object), [REFERENCE_ANSWER]: referenceOf(example) } });
    if (questions.length === maxExamples) break;
  }
  if (questions.length > 0) return { questions, leftOut };
  const problem = leftOut === 0 ? 'the file is empty' : `every prompt fills the model's context of ${options.contextTokens} tokens`;
  throw exampleError('evaluation_file', problem, 'An example is asked without its last message, or its completion.');
}

async function promptOf(example: TrainingExample, options: QuestionOptions): Promise<Int32Array> {
  if (example.kind === 'text') throw new Error('is a plain text, which asks nothing: evaluations need messages, or a prompt and its completion');
  if (example.kind === 'completion') return textTokens(example.prompt, options);
  const { tools, templateKwargs } = example;
  const messages = example.kind === 'chat' ? example.messages.slice(0, -1) : [...example.prompt, ...example.completion.slice(0, -1)];
  return conversationTokens({ messages, tools, templateKwargs }, options);
}

function referenceOf(example: TrainingExample): string {
  if (example.kind === 'completion') return example.completion;
  if (example.kind === 'text') return example.text;
  return (example.kind === 'chat' ? example.messages : example.completion).at(-1)!.content ?? '';
}

async function textTokens(text: string, { tokenizer }: QuestionOptions): Promise<Int32Array> {
  const { ids } = await tokenizer.encode(text, { addSpecialTokens: true });
  if (ids.length === 0) throw new Error('has a prompt without tokens, after which nothing can follow');
  return ids;
}

async function conversationTokens(conversation: Conversation, { template, tokenizer }: QuestionOptions): Promise<Int32Array> {
  if (template === null) throw new Error('is a conversation, but the model has no chat template: give it a text');
  const { text } = renderMessages(template, conversation, true);
  return (await tokenizer.encode(text, { addSpecialTokens: false })).ids;
}
