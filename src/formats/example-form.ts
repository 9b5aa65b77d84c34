import type { At } from './chat-message.ts';
import { type JsonObject, parseJsonValue } from './json-value.ts';
import { isRecord } from './record.ts';

/**
 * Reads a conversation's line once more, in Python's data model, if there is anything in it whose form `JSON.parse` loses and a template may print: keys
 * besides role and content, parts of content, tools. Most lines have none of them, and reading a line twice takes time.
 * @param lists what should be lists of messages, as JSON.parse reads them
 * @param others tools, and variables for the template
 * @throws ExampleRefusal where only Python's model has a limit
 * @returns null if roles and texts are all there is
 */
export function formOf(lists: readonly unknown[], others: readonly unknown[], { name, text, fail }: At): JsonObject | null {
  const isPlain = others.every((other) => (other ?? null) === null) && lists.every((list) => !Array.isArray(list) || list.every(isPlainMessage));
  if (isPlain) return null;
  try {
    return parseJsonValue(text) as JsonObject;
  } catch (error) {
    throw fail(`${name} cannot be read: ${(error as Error).message}`, 'Write long numbers as strings.');
  }
}

/** Whether roles and texts are all that a message has. */
function isPlainMessage(message: unknown): boolean {
  if (!isRecord(message)) return true; // an error, which is reported elsewhere
  const keys = Object.keys(message).filter((key) => key !== 'weight');
  return keys.length === 2 && keys[0] === 'role' && keys[1] === 'content' && typeof message['content'] === 'string';
}
