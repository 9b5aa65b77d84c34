/**
 * A tokenised example as bytes. A record is 32-bit words of the machine's byte order: the numbers of tokens, runs and starts; the runs of equal loss
 * weights, each its length and the weight's bits; the starts; and the token ids, two to a word where the vocabulary allows, else one. Only an example with a
 * teacher has more words: the numbers of the teacher's tokens and of what is listed for them, then the teacher's four lists. Equal examples, and only they,
 * have equal records.
 */
import type { Example } from './batch.ts';
import type { Teacher } from './teacher.ts';

/** Tokens, runs, starts. */
const HEADER_WORDS = 3;
/** Tokens, listed. */
const TEACHER_HEADER_WORDS = 2;
/** A number of starts that says that the example has none. */
const NO_STARTS = 0xffffffff;

/** Bytes of a token id in a record. */
export type IdBytes = 2 | 4;

/** @param vocabSize every id is below it */
export const idBytesFor = (vocabSize: number): IdBytes => (vocabSize <= 2 ** 16 ? 2 : 4);

export class RecordEncoder {
  #words = new Uint32Array(1024);

  constructor(readonly idBytes: IdBytes) {}

  /** @returns the record, a view that the next call overwrites */
  encode({ inputIds, lossWeights, starts, teacher }: Example): Uint32Array {
    const idWords = Math.ceil((inputIds.length * this.idBytes) / 4);
    this.#reserve(HEADER_WORDS + 2 * inputIds.length + (starts?.length ?? 0) + idWords + (teacher ? teacherWords(teacher) : 0));
    const words = this.#words;
    const weights = new Uint32Array(lossWeights.buffer, lossWeights.byteOffset, lossWeights.length);
    let at = HEADER_WORDS;
    for (let start = 0, end = 0; start < weights.length; start = end) {
      const weight = weights[start]!;
      for (end = start + 1; end < weights.length && weights[end] === weight; ) end += 1;
      words[at++] = end - start;
      words[at++] = weight;
    }
    words[0] = inputIds.length;
    words[1] = (at - HEADER_WORDS) / 2;
    words[2] = starts === undefined ? NO_STARTS : starts.length;
    if (starts !== undefined) {
      words.set(starts, at);
      at += starts.length;
    }
    if (this.idBytes === 2) {
      if (inputIds.length % 2 === 1) words[at + idWords - 1] = 0;
      new Uint16Array(words.buffer, 4 * at, inputIds.length).set(inputIds);
    } else words.set(inputIds, at);
    at += idWords;
    if (teacher !== undefined) at = setTeacher(words, at, teacher);
    return words.subarray(0, at);
  }

  #reserve(words: number): void {
    if (words > this.#words.length) this.#words = new Uint32Array(2 * words);
  }
}

const teacherWords = ({ at, ids }: Teacher): number => TEACHER_HEADER_WORDS + 2 * at.length + 2 * ids.length;

/** @returns where the words after it begin */
function setTeacher(words: Uint32Array, start: number, { at, counts, ids, logProbabilities }: Teacher): number {
  const bits = new Uint32Array(Float32Array.from(logProbabilities).buffer);
  let next = start;
  for (const part of [[at.length, ids.length], at, counts, ids, bits]) {
    words.set(part, next);
    next += part.length;
  }
  return next;
}

/** @param words what follows an example's other words */
function teacherIn(words: Uint32Array): Teacher {
  const [tokens, listed] = [words[0]!, words[1]!];
  const starts = [0, tokens, 2 * tokens, 2 * tokens + listed].map((start) => TEACHER_HEADER_WORDS + start);
  const [at, counts, ids, bits] = starts.map((start, index) => words.slice(start, starts[index + 1]).buffer);
  return {
    at: new Int32Array(at!),
    counts: new Int32Array(counts!),
    ids: new Int32Array(ids!),
    logProbabilities: new Float32Array(bits!),
  };
}

/** @param words a whole record */
export function decodeRecord(words: Uint32Array, idBytes: IdBytes): Example {
  const [tokens, runs, startCount] = [words[0]!, words[1]!, words[2]!];
  const weights = new Uint32Array(tokens);
  let at = HEADER_WORDS;
  for (let run = 0, start = 0; run < runs; run++) {
    const length = words[at++]!;
    weights.fill(words[at++]!, start, start + length);
    start += length;
  }
  const hasStarts = startCount !== NO_STARTS;
  const starts = hasStarts ? Int32Array.from(words.subarray(at, at + startCount)) : undefined;
  if (hasStarts) at += startCount;
  const from = words.byteOffset + 4 * at;
  const inputIds = Int32Array.from(idBytes === 2 ? new Uint16Array(words.buffer, from, tokens) : new Int32Array(words.buffer, from, tokens));
  const lossWeights = new Float32Array(weights.buffer);
  const rest = words.subarray(at + Math.ceil((tokens * idBytes) / 4));
  return { inputIds, lossWeights, ...(starts && { starts }), ...(rest.length > 0 && { teacher: teacherIn(rest) }) };
}
