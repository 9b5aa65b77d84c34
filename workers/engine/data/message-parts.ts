/** The parts of an assistant's message that a chat template should write, and how to tell whether it does: by changing them. */
import type { ChatMessage } from '../../../src/formats/examples.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonValue } from '../../../src/formats/json-value.ts';

export interface MessagePart {
  /** The same for the same part of other messages. */
  kind: string;
  /** For an error: "the call of "get_weather"". */
  name: string;
  /** Texts that the template usually writes as they are. */
  texts: string[];
  /** @returns the message with another value in place of this part */
  change(message: ChatMessage): ChatMessage;
}

// Digits, which no template trims, splits, escapes or capitalises.
const PROBE = '40718293561';
/** The names under which transformers takes a turn's reasoning. */
const REASONING_KEYS = ['reasoning_content', 'thinking', 'reasoning'];
const TAGS = /(<\/?think>)/;

export function partsOf(message: ChatMessage): MessagePart[] {
  return [...contentParts(message), ...reasoningParts(message), ...callParts(message)];
}

/** Reasoning inside the content, which some templates leave out, is a part of its own. */
function contentParts({ content }: ChatMessage): MessagePart[] {
  const pieces = (content ?? '').split(TAGS);
  return pieces.flatMap((piece, index) => {
    const text = piece.trim();
    if (text === '' || TAGS.test(text)) return [];
    const isReasoning = pieces[index + 1] === '</think>';
    return {
      kind: isReasoning ? 'reasoning in the content' : 'content',
      name: `its ${isReasoning ? 'reasoning' : 'content'} ${quoted(text)}`,
      texts: [text],
      change: (message) => withText(message, pieces.with(index, PROBE).join('')),
    } satisfies MessagePart;
  });
}

/** @returns the message with another text as its content, in a list if the message has one */
export function withText(message: ChatMessage, content: string): ChatMessage {
  const parts = [
    new Map([
      ['type', 'text'],
      ['text', content],
    ]),
  ];
  return { ...message, content, ...(message.parts === undefined ? {} : { parts }) };
}

function reasoningParts({ extra }: ChatMessage): MessagePart[] {
  const given = REASONING_KEYS.filter((key) => typeof field(extra, key) === 'string');
  const text = given.map((key) => (field(extra, key) as string).trim()).find((each) => each !== '');
  if (text === undefined) return [];
  const change = (message: ChatMessage) => ({ ...message, extra: given.reduce((fields, key) => withField(fields, key, PROBE), message.extra) });
  return [{ kind: 'reasoning', name: `its reasoning ${quoted(text)}`, texts: [text], change }];
}

function callParts({ extra }: ChatMessage): MessagePart[] {
  const calls = field(extra, 'tool_calls');
  if (!Array.isArray(calls)) return [];
  return calls.flatMap((call, index) => {
    const called = field(call, 'function') ?? call;
    const name = field(called, 'name');
    const parts: MessagePart[] = [];
    const changing = (key: string, value: JsonValue) => (message: ChatMessage) => ({
      ...message,
      extra: withField(message.extra, 'tool_calls', calls.with(index, withCalled(call, key, value))),
    });
    if (typeof name === 'string' && name !== '')
      parts.push({ kind: `name of call ${index}`, name: `its call of ${quoted(name)}`, texts: [name], change: changing('name', PROBE) });
    const given = field(called, 'arguments');
    const other = given === null ? null : changed(given);
    if (other !== null)
      parts.push({
        kind: `arguments of call ${index}`,
        name: `the arguments of its call of ${quoted(String(name))}`,
        // Only JSON text as it was given is found at once; other forms are told by changing them.
        texts: typeof given === 'string' ? [given.trim()] : [''],
        change: changing('arguments', other),
      });
    return parts;
  });
}

/** @returns the arguments with other values; null if they hold none */
function changed(given: JsonValue): JsonValue {
  if (typeof given !== 'string') return withLeaves(given);
  let parsed: JsonValue;
  try {
    parsed = parseJsonValue(given);
  } catch {
    return given.trim() === '' ? null : PROBE;
  }
  const other = withLeaves(parsed);
  return other === null ? null : JSON.stringify(other, (_, each: unknown) => (each instanceof Map ? Object.fromEntries(each) : each));
}

/** @returns the value with a probe in place of each string, number, truth value and null in it; null if it holds no such value */
function withLeaves(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.length === 0 ? null : value.map((each) => withLeaves(each) ?? each);
  if (!isJsonObject(value)) return PROBE;
  return value.size === 0 ? null : new Map([...value].map(([key, each]) => [key, withLeaves(each) ?? each]));
}

const field = (of: JsonValue, key: string): JsonValue => (isJsonObject(of) ? (of.get(key) ?? null) : null);

const withField = (of: JsonValue, key: string, value: JsonValue): JsonObject => new Map(isJsonObject(of) ? of : []).set(key, value);

function withCalled(call: JsonValue, key: string, value: JsonValue): JsonValue {
  const called = field(call, 'function');
  return called === null ? withField(call, key, value) : withField(call, 'function', withField(called, key, value));
}

const quoted = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text);
