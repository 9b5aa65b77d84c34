/** Finds the tokens that a teacher wrote among those of a turn, and the teacher's alternatives in the model's vocabulary. */
import type { TeacherToken } from '../../../src/formats/teacher-logprobs.ts';
import type { Notice } from './notices.ts';
import type { Span } from './span-mask.ts';
import { type Listed, type Teacher, teacherOf } from './teacher.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A turn's tokens are not those that its teacher wrote. */
export class OtherTokens extends Error {
  override readonly name = 'OtherTokens';
  readonly hint =
    'Use a teacher with the tokenizer of the model, and keep its answer as it was returned. A turn without "logprobs" is learned by cross-entropy alone.';
}

interface Turn {
  ids: Int32Array;
  /** Which of the ids are the turn's. */
  tokens: Span;
  /** From 1. */
  message: number;
}

const SPACE = 0x20;
/** U+FFFD, which servers write for the bytes of a part of a character. */
const INCOMPLETE = Buffer.from('\uFFFD');
/** A turn that repeats one token thousands of times, and then differs, would otherwise take hours: a second or two. */
const MAX_COMPARED = 2 ** 24;

/**
 * The teacher's tokens follow each other in the turn; what the chat template writes before and after them has no teacher. Where they fit in several places,
 * the last one counts: reasoning comes before the answer.
 * @throws OtherTokens naming the message and the first token that differs
 */
export async function teacherOfTurn(
  { ids, tokens: [from, to], message }: Turn,
  written: readonly TeacherToken[],
  tokenizer: Tokenizer,
): Promise<{ teacher: Teacher; notices: Notice[] }> {
  const own = await Promise.all(Array.from(ids.subarray(from, to), async (id) => Buffer.from(await tokenizer.bytes(id))));
  const { start, length } = placeOf(own, written, tokenizer.dropsFirstSpace);
  if (length < written.length) throw differs(message, written, length, own[start + length]);
  const listed: Listed[] = [];
  const unknown: string[] = [];
  for (const [index, token] of written.entries()) {
    const at = from + start + index;
    const one = listedFor(token, { id: ids[at]!, own: own[start + index]!, unknown }, tokenizer);
    if (one !== null) listed.push({ at, ...one });
  }
  return { teacher: teacherOf(listed), notices: unknown.length === 0 ? [] : [{ kind: 'teacher_unknown', detail: JSON.stringify(unknown[0]) }] };
}

/** @returns where the teacher's tokens begin among a turn's, or else where most of them do, and how many of them follow there */
function placeOf(own: readonly Buffer[], written: readonly TeacherToken[], dropsFirstSpace: boolean): { start: number; length: number } {
  const theirs = written.map(({ bytes }) => Buffer.from(bytes));
  // Where all of them have room, the last place first; the others only show what differs.
  const roomy = Math.max(0, own.length - theirs.length + 1);
  const starts = [
    ...Array.from({ length: roomy }, (_, index) => roomy - 1 - index),
    ...Array.from({ length: own.length - roomy }, (_, index) => roomy + index),
  ];
  let best = { start: 0, length: 0 };
  let compared = 0;
  for (const start of starts) {
    if (compared >= MAX_COMPARED) break;
    let length = 0;
    const isSame = (token: Buffer, other: Buffer) =>
      sameBytes(token, other) || (length === 0 && dropsFirstSpace && token[0] === SPACE && other.equals(token.subarray(1)));
    while (length < theirs.length && start + length < own.length && isSame(own[start + length]!, theirs[length]!)) length += 1;
    compared += length + 1;
    if (length > best.length) best = { start, length };
    if (length === theirs.length) break;
  }
  return best;
}

/** @param other as a server gave it: where it does not tell bytes, those of a part of a character became a mark */
function sameBytes(token: Buffer, other: Buffer): boolean {
  if (other.equals(token)) return true;
  if (!other.includes(INCOMPLETE)) return false;
  return other.toString('utf8') === token.toString('utf8');
}

function differs(message: number, written: readonly TeacherToken[], same: number, own: Buffer | undefined): OtherTokens {
  const theirs = JSON.stringify(written[same]!.token);
  const ours = own === undefined ? 'the turn has no further token' : `the model's tokenizer has ${JSON.stringify(own.toString('utf8'))}`;
  return new OtherTokens(`has "logprobs" (message ${message}) of other tokens than the model's: token ${same + 1} is ${theirs}, where ${ours}`);
}

interface ListedFor {
  id: number;
  /** The id's bytes. */
  own: Buffer;
  /** Takes the alternatives that the vocabulary does not have. */
  unknown: string[];
}

/** @returns null where all that is listed has a probability of 0 */
function listedFor(
  { bytes: chosen, logprob, top }: TeacherToken,
  { id, own, unknown }: ListedFor,
  tokenizer: Tokenizer,
): Pick<Listed, 'ids' | 'logProbabilities'> | null {
  const found = new Map([[id, logprob]]);
  // Where the server dropped the space before the text, it did so for each of them.
  const before = own.length === chosen.length + 1 && own[0] === SPACE ? [Buffer.of(SPACE)] : [];
  for (const { token, bytes, logprob } of top) {
    const isItself = Buffer.from(bytes).equals(chosen);
    if (isItself || logprob === Number.NEGATIVE_INFINITY) continue;
    const whole = Buffer.concat([...before, bytes]);
    const other = whole.includes(INCOMPLETE) ? null : tokenizer.idOf(whole);
    if (other === null) unknown.push(token);
    // Of several with the same bytes, the first is the most probable.
    else if (!found.has(other)) found.set(other, logprob);
  }
  if (Math.max(...found.values()) === Number.NEGATIVE_INFINITY) return null;
  return { ids: [...found.keys()], logProbabilities: [...found.values()] };
}
