/**
 * OpenAI's format of a preference pair: `{"input": {"messages": […], "tools"?}, "preferred_output": […], "non_preferred_output": […]}`, two answers of the
 * assistant to one conversation.
 */
import { type At, atMessage, parseMessage, shown } from './chat-message.ts';
import type { ChatMessage } from './examples.ts';
import { isDescriptive } from './known-keys.ts';
import { nearestName } from './nearest-name.ts';
import { isRecord } from './record.ts';

export interface PreferenceExample {
  kind: 'preference';
  input: ChatMessage[];
  preferred: ChatMessage[];
  nonPreferred: ChatMessage[];
}

const PAIR = '{"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}';
const KEYS = ['input', 'preferred_output', 'non_preferred_output'];
const INPUT_KEYS = ['messages', 'tools', 'parallel_tool_calls'];

export const isPreference = (value: Record<string, unknown>): boolean => 'preferred_output' in value || 'non_preferred_output' in value;

/** @throws ExampleRefusal */
export function parsePreference(value: Record<string, unknown>, at: At): PreferenceExample {
  const { name, fail } = at;
  const { input } = value;
  checkKeys(value, KEYS, at);
  if (!isRecord(input))
    throw fail(`${name} has an "input" that is ${shown(input)}; it must be an object`, `A preference pair is ${PAIR}.`, { field: 'input' });
  checkKeys(input, INPUT_KEYS, at);
  const { tools } = input;
  if (tools !== undefined && tools !== null && !Array.isArray(tools))
    throw fail(`${name} has "tools" that is ${shown(tools)}; it must be an array`, undefined, { field: 'tools' });
  return {
    kind: 'preference',
    input: messagesOf(input['messages'], { key: 'messages', of: ' of the input', at }),
    preferred: answer(value['preferred_output'], { key: 'preferred_output', of: ' of the preferred output', at }),
    nonPreferred: answer(value['non_preferred_output'], { key: 'non_preferred_output', of: ' of the other output', at }),
  };
}

interface List {
  key: string;
  /** How a message says which list it is in. */
  of: string;
  at: At;
}

function messagesOf(messages: unknown, { key, of, at }: List): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0)
    throw at.fail(`${at.name} has "${key}" that is ${shown(messages)}; it must be a list of messages`, `A preference pair is ${PAIR}.`, {
      field: key,
    });
  return messages.map((message, index) => parseMessage(message, null, atMessage(at, index + 1, of)));
}

function answer(messages: unknown, list: List): ChatMessage[] {
  const parsed = messagesOf(messages, list);
  const other = parsed.findIndex(({ role }, index) => role !== 'assistant' && (role !== 'tool' || index === parsed.length - 1));
  if (other === -1) return parsed;
  const place = atMessage(list.at, other + 1, list.of);
  const hint = 'An output is what the assistant answers: its messages and the results of its tools, with a message of the assistant at the end.';
  throw place.fail(`${place.name} is from "${parsed[other]!.role}"`, hint, { field: 'role' });
}

function checkKeys(value: Record<string, unknown>, known: readonly string[], { name, fail }: At): void {
  for (const [key, content] of Object.entries(value)) {
    if (known.includes(key) || content === null || isDescriptive(key)) continue;
    const nearest = nearestName(key, known);
    const hint = nearest === null ? `Used are ${known.join(', ')}; put what only describes the line into "metadata".` : `Did you mean "${nearest}"?`;
    throw fail(`${name} has the unknown key "${key}"`, hint, { field: key });
  }
}
