/** Conversations with a teacher's log-probabilities: as for supervised training, with `logprobs` in at least one message of the assistant. */
import { type At, atMessage } from './chat-message.ts';
import { type ChatExample, type ChatMessage, parseSupervised } from './examples.ts';
import { isRecord } from './record.ts';
import { parseTeacherLogprobs, type TeacherToken } from './teacher-logprobs.ts';

export interface DistilledExample {
  kind: 'distilled';
  conversation: ChatExample;
  /** What the teacher thought of each message, by its index; null where it is not known. */
  teacher: readonly (readonly TeacherToken[] | null)[];
}

type Json = Record<string, unknown>;

/** Lists that may hold messages: `logprobs` counts in `messages` alone, and is refused in the others. */
const LISTS = ['messages', 'completion'] as const;

const hasLogprobs = (message: unknown): boolean => isRecord(message) && (message['logprobs'] ?? null) !== null;

export const isDistilled = (value: Json): boolean =>
  LISTS.some((key) => {
    const list = value[key];
    return Array.isArray(list) && list.some(hasLogprobs);
  });

/** @throws ExampleRefusal */
export function parseDistilled(value: unknown, at: At): DistilledExample {
  if (!isRecord(value) || !Array.isArray(value['messages'])) {
    parseSupervised(isRecord(value) ? withoutLogprobs(value) : value, at); // says what else is wrong with it first
    throw at.fail(`${at.name} is not a conversation, and only a conversation can have a teacher's "logprobs"`, 'Write it as "messages".', {
      field: 'logprobs',
    });
  }
  const given: unknown[] = value['messages'];
  const example = parseSupervised(withoutLogprobs(value), at) as ChatExample;
  const teacher = given.map((message, index) => {
    const place = atMessage(at, index + 1);
    const tokens = parseTeacherLogprobs((message as Json)['logprobs'], place);
    if (tokens !== null && example.messages[index]!.role !== 'assistant')
      throw place.fail(`${place.name} has "logprobs", but the assistant did not write it`, 'Only answers of the teacher have them.', {
        field: 'logprobs',
      });
    return tokens;
  });
  if (teacher.every((tokens) => tokens === null))
    throw at.fail(
      `${at.name} has no message with a teacher's log-probabilities`,
      'Give an assistant\'s message the "logprobs" of its choice, or use the method "supervised".',
      {
        field: 'logprobs',
      },
    );
  return { kind: 'distilled', conversation: { ...example, messages: example.messages.map(asWritten) }, teacher };
}

/** A line without them, so that nothing else reads megabytes of numbers. */
const withoutLogprobs = (value: Json): Json => ({
  ...value,
  ...Object.fromEntries(LISTS.filter((key) => Array.isArray(value[key])).map((key) => [key, (value[key] as unknown[]).map(withoutKey)])),
});

function withoutKey(message: unknown): unknown {
  if (!isRecord(message) || !('logprobs' in message)) return message;
  const { logprobs: _, ...rest } = message;
  return rest;
}

/** A chat template sees the rest of the message: Python's model of a line is read from its text, which has them. */
function asWritten(message: ChatMessage): ChatMessage {
  if (!message.extra.has('logprobs')) return message;
  const extra = new Map(message.extra);
  extra.delete('logprobs');
  return { ...message, extra, ...(message.keys && { keys: message.keys.filter((key) => key !== 'logprobs') }) };
}
