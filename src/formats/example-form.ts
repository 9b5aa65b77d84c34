import { type JsonObject, parseJsonValue } from './json-value.ts';
import { isRecord } from './record.ts';

/**
 * Reads a conversation's line once more, in Python's data model, if there is anything in it whose form `JSON.parse` loses and a template may print: keys
 * besides role and content, parts of content, tools. Most lines have none of them, and reading a line twice takes time.
 * @param value the line as JSON.parse reads it
 * @param fail  makes the error to throw where only Python's model has a limit
 * @returns null if roles and texts are all there is
 */
export function formOf(value: Record<string, unknown>, line: string, fail: (problem: string) => Error): JsonObject | null {
  if (isPlain(value)) return null;
  try {
    return parseJsonValue(line) as JsonObject;
  } catch (error) {
    throw fail((error as Error).message);
  }
}

function isPlain({ messages, tools, chat_template_kwargs: kwargs }: Record<string, unknown>): boolean {
  return (tools ?? kwargs ?? null) === null && (messages as unknown[]).every(isPlainMessage);
}

/** Whether roles and texts are all that a message has. */
export function isPlainMessage(message: unknown): boolean {
  if (!isRecord(message)) return true; // an error, which is reported elsewhere
  const keys = Object.keys(message).filter((key) => key !== 'weight');
  return keys.length === 2 && keys[0] === 'role' && keys[1] === 'content' && typeof message['content'] === 'string';
}
