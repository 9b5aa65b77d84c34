/** What transformers' `apply_chat_template` gives a template: messages as dicts, tools, documents, special tokens and the caller's own variables. */
import type { ChatMessage } from '../../../../src/formats/examples.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonValue } from '../../../../src/formats/json-value.ts';
import { reservedKwarg } from '../../../../src/formats/template-kwargs.ts';
import type { SpecialTokens } from '../tokenizer.ts';
import { type Dict, GivenAsText, type Value } from './jinja/values.ts';

interface Given {
  specialTokens: SpecialTokens;
  tools: JsonValue[] | null;
  addGenerationPrompt: boolean;
  kwargs: JsonObject;
}

/** Everything but the messages. @throws Error if a variable's name is reserved */
export function variablesOf({ specialTokens, tools, addGenerationPrompt, kwargs }: Given): Map<string, Value> {
  const reserved = reservedKwarg(kwargs.keys());
  if (reserved !== null) throw new Error(`chat_template_kwargs has ${JSON.stringify(reserved)}, which is not a variable of the template`);
  const documents = kwargs.get('documents') ?? null;
  if (documents !== null && !(Array.isArray(documents) && documents.every(isJsonObject)))
    throw new Error('chat_template_kwargs has documents that are not a list of objects');
  return new Map<string, Value>([
    ...Object.entries(specialTokens),
    ...(kwargs as Map<string, Value>),
    ['tools', tools as Value],
    ['documents', documents as Value],
    ['add_generation_prompt', addGenerationPrompt],
  ]);
}

/** Names under which reasoning is passed. transformers fills the first, which templates read, and gpt-oss's `thinking`. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];

/**
 * A message as transformers gives it to a template: without the keys whose value is null, with reasoning under its standard name. A call's arguments,
 * which OpenAI writes as JSON text and most templates expect as a value, are both.
 * @param inParts whether content that the line has in parts stays so; else it is one text
 */
export function messageOf({ role, content, parts, extra, keys }: ChatMessage, inParts: boolean): Dict {
  const message: Dict = new Map();
  const given = inParts && parts !== undefined ? (parts as Value[]) : content;
  for (const key of keys ?? ['role', 'content', ...extra.keys()]) {
    const value = key === 'role' ? role : key === 'content' ? given : key === 'tool_calls' ? callsOf(extra.get(key)!) : (extra.get(key) as Value);
    if (value !== null) message.set(key, value);
  }
  const reasoning = REASONING.map((name) => message.get(name)).find((value) => value !== undefined);
  if (reasoning === undefined) return message;
  return new Map([['thinking', reasoning], ...message, ['reasoning_content', reasoning]]);
}

function callsOf(calls: JsonValue): Value {
  return (Array.isArray(calls) ? calls.map(withArguments) : calls) as Value;
}

/** A call, in OpenAI's form (`function.arguments`) or flat. */
function withArguments(call: JsonValue): JsonValue | Value {
  if (!isJsonObject(call)) return call;
  const named = call.get('function');
  if (isJsonObject(named)) return replaced(call, 'function', withParsed(named));
  return withParsed(call);
}

function withParsed(call: JsonObject): Value {
  const text = call.get('arguments');
  if (typeof text !== 'string') return call as Dict;
  const value = jsonObject(text);
  return value === null ? (call as Dict) : replaced(call, 'arguments', new GivenAsText(value, text));
}

const replaced = (object: JsonObject, key: string, value: Value): Dict => new Map<Value, Value>(object as Dict).set(key, value);

/** @returns null if the text is not that of a JSON object */
function jsonObject(text: string): Dict | null {
  if (!/^\s*\{/.test(text)) return null;
  try {
    const value = parseJsonValue(text);
    return isJsonObject(value) ? (value as Dict) : null;
  } catch {
    return null;
  }
}
