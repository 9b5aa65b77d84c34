/** A message of a chat, as a line has it → as it is trained on. */
import type { ExampleKeys, KeyPlace } from './example-keys.ts';
import { parseWeight } from './example-weight.ts';
import type { ChatMessage } from './examples.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json-value.ts';
import { isRecord } from './record.ts';
import { visible } from './visible.ts';

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
export type Role = (typeof ROLES)[number];

/** The example or message that is being read. */
export interface At extends KeyPlace {
  keys: ExampleKeys;
  /** The whole line. */
  text: string;
}

export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'missing';
  return visible(text.length > 60 ? `${text.slice(0, 57)}...` : text);
};

/** @param number from 1. @param of what the message belongs to, if not to the conversation: ` of the preferred output` */
export const atMessage = (at: At, number: number, of = ''): At => ({
  ...at,
  name: `${at.name}, message ${number}${of}`,
  // Bound, because this runs for every message: tsx gives each new closure its name, which takes longer than reading a short message.
  fail: failInMessage.bind(null, at, number),
});

const failInMessage = (at: At, message: number, ...[problem, hint, where]: Parameters<At['fail']>) => at.fail(problem, hint, { ...where, message });

/** @param form the message in Python's data model; null if it is only a role and a text */
export function parseMessage(message: unknown, form: JsonValue, at: At): ChatMessage {
  const { line, name, fail, keys } = at;
  if (!isRecord(message)) throw fail(`${name} is ${shown(message)}, not an object`, 'A message is {"role": "user", "content": "..."}.');
  const { role, content, weight, ...rest } = message;
  keys.check('message', Object.entries(rest), at);
  if (!ROLES.includes(role as Role)) throw fail(`${name} has the role ${shown(role)}`, `Roles are ${ROLES.join(', ')}.`, { field: 'role' });
  const counted = parseWeight(weight, at);
  if (typeof weight === 'number' && weight > 0 && role !== 'assistant') keys.count('other', 'weight', line);
  const callsTools = role === 'assistant' && Array.isArray(rest['tool_calls']) && rest['tool_calls'].length > 0;
  const plain = { role: role as Role, content: parseContent(content, callsTools, at), weight: counted };
  if (!isJsonObject(form)) return { ...plain, extra: new Map() };
  const extra: JsonObject = new Map(form);
  for (const key of ['role', 'content', 'weight']) extra.delete(key);
  const parts = form.get('content');
  return { ...plain, ...(Array.isArray(parts) ? { parts } : {}), extra, keys: [...form.keys()].filter((key) => key !== 'weight') };
}

function parseContent(content: unknown, isOptional: boolean, at: At): string | null {
  const { name, fail, keys } = at;
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) {
    if (isOptional) return null;
    throw fail(`${name} has no content`, 'Give it a string, or an array of {"type": "text", "text": "..."}.', { field: 'content' });
  }
  if (!Array.isArray(content))
    throw fail(`${name} has content that is ${shown(content)}; it must be a string or an array of text parts`, undefined, { field: 'content' });
  return content
    .map((part: unknown, index) => {
      const place = { ...at, name: `${name}, part ${index + 1}` };
      if (!isRecord(part) || part['type'] !== 'text') {
        const type = isRecord(part) ? shown(part['type']) : shown(part);
        throw fail(`${place.name} is ${type}; only text parts are supported`, 'A part is {"type": "text", "text": "..."}.', { field: 'content' });
      }
      keys.check('part', Object.entries(part), place);
      if (typeof part['text'] !== 'string')
        throw fail(`${place.name} has a "text" that is ${shown(part['text'])}; it must be a string`, undefined, { field: 'content' });
      return part['text'];
    })
    .join('');
}
