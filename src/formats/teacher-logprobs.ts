/**
 * What a teacher thought of each token of its answer: `logprobs` of a choice of OpenAI's chat completions, as a message of a dataset keeps it,
 * `{"content": [{"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}, …]}, …]}`. Servers add keys of their own, which are left alone.
 */
import { type At, shown } from './chat-message.ts';
import { isRecord } from './record.ts';

/** OpenAI's limit of `top_logprobs`. */
export const MAX_TOP_LOGPROBS = 20;
/** OpenAI's for a token that is not among the 20 most probable: its probability counts as 0. */
const OUTSIDE_THE_TOP = -9999;

/** A token and its log-probability, nats; −∞ for a probability of 0. */
export interface TokenLogprob {
  /** As text, for errors. */
  token: string;
  bytes: Uint8Array;
  logprob: number;
}

/** The token that the teacher chose, and the most probable ones, which may have it among them. */
export interface TeacherToken extends TokenLogprob {
  top: TokenLogprob[];
}

const FORM = 'Keep what the server returned in the choice\'s "logprobs": {"content": [{"token", "logprob", "bytes", "top_logprobs": [...]}, ...]}.';
const utf8 = new TextEncoder();

/** @returns null where there are none. @param at the message. @throws ExampleRefusal */
export function parseTeacherLogprobs(given: unknown, { name, fail }: At): TeacherToken[] | null {
  const refuse = (what: string, hint = FORM) => fail(`${name} has "logprobs" ${what}`, hint, { field: 'logprobs' });
  if (given === null || given === undefined) return null;
  if (!isRecord(given)) throw refuse(`that is ${shown(given)}; it must be an object`);
  const { content } = given;
  if (content === null || (Array.isArray(content) && content.length === 0)) return null;
  if (!Array.isArray(content)) throw refuse(`with a "content" that is ${shown(content)}; it must be an array`);
  return content.map((entry: unknown, index) => {
    const place = `whose token ${index + 1}`;
    const chosen = parseOne(entry, place, refuse);
    const top = (entry as Record<string, unknown>)['top_logprobs'] ?? [];
    if (!Array.isArray(top)) throw refuse(`${place} has "top_logprobs" that is ${shown(top)}; it must be an array`);
    if (top.length > MAX_TOP_LOGPROBS)
      throw refuse(
        `${place} has ${top.length} top_logprobs; the limit is ${MAX_TOP_LOGPROBS}`,
        `Ask the teacher for "top_logprobs": ${MAX_TOP_LOGPROBS}.`,
      );
    return { ...chosen, top: top.map((one: unknown, rank) => parseOne(one, `${place} at top_logprobs ${rank + 1}`, refuse)) };
  });
}

function parseOne(given: unknown, place: string, refuse: (what: string, hint?: string) => Error): TokenLogprob {
  if (!isRecord(given)) throw refuse(`${place} is ${shown(given)}; it must be an object`);
  const { token, logprob, bytes } = given;
  if (typeof token !== 'string') throw refuse(`${place} has a "token" that is ${shown(token)}; it must be a string`);
  // A number too large for JSON becomes Infinity.
  if (typeof logprob !== 'number' || !Number.isFinite(logprob))
    throw refuse(`${place} has a "logprob" that is ${typeof logprob === 'number' ? logprob : shown(logprob)}; it must be a number`);
  if (logprob > 0)
    throw refuse(`${place} has the logprob ${logprob}; a probability is at most 1, so it must be 0 or less`, 'It is a natural logarithm.');
  const text = bytes === null || bytes === undefined ? utf8.encode(token) : parseBytes(bytes, place, refuse);
  return { token, bytes: text, logprob: logprob <= OUTSIDE_THE_TOP ? Number.NEGATIVE_INFINITY : logprob };
}

function parseBytes(given: unknown, place: string, refuse: (what: string) => Error): Uint8Array {
  const isByte = (byte: unknown): boolean => Number.isInteger(byte) && (byte as number) >= 0 && (byte as number) <= 255;
  if (!Array.isArray(given) || !given.every(isByte))
    throw refuse(`${place} has "bytes" that are ${shown(given)}; they must be an array of numbers from 0 to 255`);
  return Uint8Array.from(given as number[]);
}
