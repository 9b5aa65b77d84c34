/** Questions from a dataset: what a tuned model is asked, and what the dataset says that it should answer. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions';
import { splitLines } from '../../src/formats/lines.ts';
import { isRecord } from '../../src/formats/record.ts';

export interface Question {
  /** Of the dataset, from 1. */
  line: number;
  /** What is asked: messages, or a text to continue. */
  messages: ChatCompletionMessageParam[] | null;
  prompt: string | null;
  tools: ChatCompletionTool[] | null;
  /** The dataset's own answer. */
  reference: string;
}

/**
 * Draws questions from a file of examples. The same file and number give the same questions, and a smaller number some of them.
 * @returns in the order of the file; fewer if the file has fewer that ask for text
 */
export async function drawQuestions(path: string, number: number): Promise<Question[]> {
  let drawn: { rank: string; question: Question }[] = [];
  for await (const line of splitLines(createReadStream(path), { code: 'invalid_file', param: 'file' })) {
    if ('refusal' in line || line.text.trim() === '') continue;
    const question = questionOf(line.number, line.text);
    if (question === null) continue;
    drawn.push({ rank: createHash('sha256').update(`${line.number}`).digest('hex'), question });
    // Twice as many, so that they are sorted seldom.
    if (drawn.length >= 2 * number + 100) drawn = lowest(drawn, number);
  }
  return lowest(drawn, number)
    .map(({ question }) => question)
    .sort((a, b) => a.line - b.line);
}

const lowest = <T extends { rank: string }>(drawn: readonly T[], number: number): T[] =>
  [...drawn].sort((a, b) => (a.rank < b.rank ? -1 : 1)).slice(0, number);

/** @returns null for a line that does not end with a text of the assistant: a tool call has no text to compare */
function questionOf(line: number, text: string): Question | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { messages, prompt, completion, input, preferred_output: preferred } = value;
  if (typeof prompt === 'string' && typeof completion === 'string') return { line, messages: null, prompt, tools: null, reference: completion };
  if (Array.isArray(messages)) return chatQuestion(line, messages.slice(0, -1), { answer: messages.at(-1), tools: value['tools'] });
  if (isRecord(input) && Array.isArray(input['messages']) && Array.isArray(preferred))
    return chatQuestion(line, input['messages'], { answer: preferred.at(-1), tools: input['tools'] });
  return null;
}

function chatQuestion(line: number, asked: readonly unknown[], { answer, tools }: { answer: unknown; tools: unknown }): Question | null {
  if (!isRecord(answer) || answer['role'] !== 'assistant' || typeof answer['content'] !== 'string' || asked.length === 0) return null;
  if (!asked.every(isRecord)) return null;
  return {
    line,
    messages: asked.map(requestMessage),
    prompt: null,
    tools: Array.isArray(tools) && tools.length > 0 ? (tools as ChatCompletionTool[]) : null,
    reference: answer['content'],
  };
}

/** Keys that only datasets have are refused by the chat. */
function requestMessage({ weight: _weight, ...message }: Record<string, unknown>): ChatCompletionMessageParam {
  return message as unknown as ChatCompletionMessageParam;
}

/** What is sent of a question, as text: no token is shorter than a byte, so that it is also the most tokens that there can be. */
export const questionBytes = ({ messages, prompt, tools }: Question): number =>
  Buffer.byteLength(prompt ?? JSON.stringify(messages) + (tools === null ? '' : JSON.stringify(tools)));
