/**
 * The format of examples: one JSON object per line, either a chat, `{"messages": [{"role", "content", …}], "tools"?, "chat_template_kwargs"?}` as OpenAI,
 * Hugging Face and TRL write it, or `{"prompt", "completion"}`, or `{"text"}`; each may have a `weight`. Other keys: example-keys.ts.
 */

import { type At, atMessage, parseMessage, type Role, shown } from './chat-message.ts';
import { formOf } from './example-form.ts';
import { ExampleKeys } from './example-keys.ts';
import { countTemplateKeys, parseLine } from './example-line.ts';
import { type ExampleFile, exampleError } from './example-refusal.ts';
import { parseWeight } from './example-weight.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonValue } from './json-value.ts';
import { judgeLines } from './judged-lines.ts';
import { splitLines } from './lines.ts';
import { Problems } from './problems.ts';
import { isRecord } from './record.ts';
import type { Refusal } from './refusal.ts';
import { reservedKwarg } from './template-kwargs.ts';

/** A longer conversation is taken for a mistake in the file. */
const MAX_MESSAGES = 4096;

export interface ChatMessage {
  role: Role;
  /** Text parts are joined. Null, Python's None, where an assistant's message with tool calls gives no content. */
  content: string | null;
  /** The content as the line has it where it is a list of parts: some templates take nothing else. */
  parts?: JsonValue[];
  /** How much an assistant's turn counts in the loss: 1 is the default, with 0 it is only read. Ignored for other roles, which are never trained on. */
  weight: number;
  /** Everything else the message carries (`name`, `tool_calls`, `tool_call_id`, …), for the chat template. */
  extra: JsonObject;
  /** The message's keys in the order of the line, without `weight`; absent if they are `role` and `content` alone. */
  keys?: readonly string[];
}

interface Weighted {
  /** How much the example counts in the loss; default: 1. */
  weight?: number;
}

export interface ChatExample extends Weighted {
  kind: 'chat';
  messages: ChatMessage[];
  tools: JsonValue[] | null;
  /** What the line itself passes to the chat template, by name. */
  templateKwargs: JsonObject;
}

export interface CompletionExample extends Weighted {
  kind: 'completion';
  prompt: string;
  completion: string;
}

/** TRL's conversational prompt and completion: two lists of messages. */
export interface ContinuationExample extends Pick<ChatExample, 'tools' | 'templateKwargs' | 'weight'> {
  kind: 'continuation';
  prompt: ChatMessage[];
  /** What is learned: every message of it, whichever role. */
  completion: ChatMessage[];
}

/** A plain text, all of which is learned. */
export interface TextExample extends Weighted {
  kind: 'text';
  text: string;
}

export type TrainingExample = ChatExample | CompletionExample | ContinuationExample | TextExample;

type Json = Record<string, unknown>;

const AN_EXAMPLE = 'An example is {"messages": [...]}, {"prompt": "...", "completion": "..."} or {"text": "..."}.';

/**
 * @param param which file the line is from: the error's param, and its code `invalid_{param}`
 * @param keys  which keys are known; counts those that are not used
 * @throws ExampleRefusal
 */
export function parseExample(line: string, lineNumber: number, param: ExampleFile, keys = new ExampleKeys()): TrainingExample {
  const { value, at } = parseLine(line, { lineNumber, param, keys });
  return parseSupervised(value, at);
}

interface ReadOptions<Example> {
  /** Reads a line's JSON; default: as a supervised example. */
  parse?: (value: unknown, at: At) => Example;
  /** As for parseExample; afterwards, `keys.warnings` names what was not used. */
  keys?: ExampleKeys;
}

/**
 * Reads a file of examples as a stream.
 * @param bytes the file, in any chunks
 * @throws Refusal naming the first lines that are wrong, all at once
 */
export async function* readExamples<Example = TrainingExample>(
  bytes: AsyncIterable<Uint8Array>,
  param: ExampleFile,
  { parse = parseSupervised as (value: unknown, at: At) => Example, keys = new ExampleKeys() }: ReadOptions<Example> = {},
): AsyncGenerator<{ lineNumber: number; example: Example }> {
  const problems = new Problems(param);
  let isEmpty = true;
  const lines = splitLines(bytes, { code: `invalid_${param}`, param });
  for await (const line of judgeLines(lines, parsed)) {
    isEmpty = false;
    if ('refusal' in line) problems.add(line.refusal);
    // After a problem, the rest is read only to find more of them.
    else if (problems.count === 0) yield line;
  }
  problems.throwIfAny();
  if (isEmpty) throw emptyFile(param);

  function parsed(text: string, lineNumber: number): Example {
    const { value, at } = parseLine(text, { lineNumber, param, keys });
    return parse(value, at);
  }
}

export const emptyFile = (param: ExampleFile): Refusal => exampleError(param, 'the file is empty', 'Write one example per line.');

/** @param value the line as JSON. @throws ExampleRefusal */
export function parseSupervised(value: unknown, at: At): TrainingExample {
  const { name, fail, keys } = at;
  if (!isRecord(value))
    throw fail(`${name} is ${shown(value)}, not a JSON object`, Array.isArray(value) ? 'Write one JSON object per line.' : AN_EXAMPLE);
  const isChat = 'messages' in value;
  const isCompletion = 'prompt' in value || 'completion' in value;
  const isText = 'text' in value && value['text'] !== null;
  if (isChat || isCompletion || isText) keys.check('example', Object.entries(value), at);
  else {
    throw fail(
      `${name} has neither "messages" nor "prompt" and "completion" nor "text"; its keys are ${shown(Object.keys(value))}`,
      keys.instead(Object.keys(value)) ?? AN_EXAMPLE,
    );
  }
  if (isChat && isCompletion)
    throw fail(`${name} has both "messages" and ${'prompt' in value ? '"prompt"' : '"completion"'}`, `Keep one of them. ${AN_EXAMPLE}`, {
      field: 'messages',
    });
  if (isText && (isChat || isCompletion))
    throw fail(`${name} has both "text" and ${isChat ? '"messages"' : '"prompt" or "completion"'}`, `Keep one of them. ${AN_EXAMPLE}`, {
      field: 'text',
    });
  const example = isChat ? parseChat(value, at) : isText ? parseText(value, at) : parseCompletion(value, at);
  const weight = parseWeight(value['weight'], at);
  return weight === 1 ? example : { ...example, weight };
}

function parseText(value: Json, at: At): TextExample {
  const { text } = value;
  const { name, fail } = at;
  if (typeof text !== 'string') throw fail(`${name} has a "text" that is ${shown(text)}; it must be a string`, undefined, { field: 'text' });
  if (text === '') throw fail(`${name} has an empty "text"`, 'The text is what the model learns.', { field: 'text' });
  countTemplateKeys(value, at);
  return { kind: 'text', text };
}

function parseCompletion(value: Json, at: At): CompletionExample | ContinuationExample {
  const { prompt, completion } = value;
  const { name, fail } = at;
  if (Array.isArray(prompt) && Array.isArray(completion)) return parseContinuation(prompt, completion, { given: value, at });
  if (Array.isArray(prompt) || Array.isArray(completion))
    throw fail(`${name} has one of "prompt" and "completion" as messages and the other not`, 'Write both as text, or both as messages.', {
      field: 'prompt',
    });
  if (typeof prompt !== 'string') throw fail(`${name} has a "prompt" that is ${shown(prompt)}; it must be a string`, undefined, { field: 'prompt' });
  if (typeof completion !== 'string')
    throw fail(`${name} has a "completion" that is ${shown(completion)}; it must be a string`, undefined, { field: 'completion' });
  if (completion === '') throw fail(`${name} has an empty "completion"`, 'The completion is what the model learns.', { field: 'completion' });
  countTemplateKeys(value, at);
  return { kind: 'completion', prompt, completion };
}

function parseContinuation(prompt: unknown[], completion: unknown[], { given, at }: { given: Json; at: At }): ContinuationExample {
  const { name, fail } = at;
  if (prompt.length === 0) throw fail(`${name} has a "prompt" without messages`, undefined, { field: 'prompt' });
  if (completion.length === 0)
    throw fail(`${name} has a "completion" without messages`, 'The completion is what the model learns.', { field: 'completion' });
  const { messages, tools, templateKwargs } = parseChat({ ...given, messages: [...prompt, ...completion] }, at);
  const weighted = messages.findIndex(({ weight }) => weight !== 1);
  if (weighted !== -1)
    throw fail(
      `${name}, message ${weighted + 1} has a weight, but all of a completion is learned and nothing of a prompt`,
      'Use "messages" for weights of turns, or give the example a weight.',
      { field: 'weight', message: weighted + 1 },
    );
  return { kind: 'continuation', prompt: messages.slice(0, prompt.length), completion: messages.slice(prompt.length), tools, templateKwargs };
}

function parseChat(value: Json, at: At): ChatExample {
  const { name, fail } = at;
  const { messages, chat_template_kwargs: kwargs } = value;
  if (!Array.isArray(messages))
    throw fail(`${name} has "messages" that is ${shown(messages)}; it must be an array`, undefined, { field: 'messages' });
  if (messages.length === 0) throw fail(`${name} has no messages`, undefined, { field: 'messages' });
  if (messages.length > MAX_MESSAGES)
    throw fail(`${name} has ${messages.length} messages; the limit is ${MAX_MESSAGES}`, undefined, { field: 'messages' });
  if (kwargs !== undefined && kwargs !== null && !isRecord(kwargs))
    throw fail(`${name} has "chat_template_kwargs" that is ${shown(kwargs)}; it must be an object`, 'As in {"enable_thinking": false}.', {
      field: 'chat_template_kwargs',
    });
  const reserved = reservedKwarg(Object.keys(kwargs ?? {}));
  if (reserved !== null)
    throw fail(`${name} has "chat_template_kwargs" with ${shown(reserved)}, which is not a variable of the template`, undefined, {
      field: 'chat_template_kwargs',
    });
  const form = formOf([messages], [value['tools'], kwargs], at);
  const tools = toolsOf(form?.get('tools') ?? null);
  if (tools === undefined) throw fail(`${name} has "tools" that is ${shown(value['tools'])}; it must be an array`, undefined, { field: 'tools' });
  const forms = ['messages', 'prompt', 'completion'].flatMap((key) => (form?.get(key) ?? []) as JsonValue[]);
  const parsed = messages.map((message, index) => parseMessage(message, forms[index] ?? null, atMessage(at, index + 1)));
  const last = parsed.at(-1)!;
  if (last.role !== 'assistant')
    throw fail(
      `${name}, message ${parsed.length}: the last message is from "${last.role}"`,
      'A conversation must end with a message of the assistant.',
      { field: 'role', message: parsed.length },
    );
  const templateKwargs = form?.get('chat_template_kwargs') ?? null;
  at.keys.checkVariables([...Object.keys(kwargs ?? {}), ...(tools === null || tools.length === 0 ? [] : ['tools'])], at.line);
  return { kind: 'chat', messages: parsed, tools, templateKwargs: isJsonObject(templateKwargs) ? templateKwargs : new Map() };
}

/** TRL reads tools given as JSON text. @returns undefined if they are no list */
function toolsOf(given: JsonValue): JsonValue[] | null | undefined {
  const tools = typeof given === 'string' ? jsonOrNull(given) : given;
  if (typeof given !== 'string' && tools === null) return null;
  return Array.isArray(tools) ? tools : undefined;
}

function jsonOrNull(text: string): JsonValue {
  try {
    return parseJsonValue(text);
  } catch {
    return null;
  }
}
