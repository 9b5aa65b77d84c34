import { type ForeignFormat, foreignFormat, nulBytes } from './foreign-format.ts';
import { Refusal } from './refusal.ts';

/** An example of 131,072 tokens is about 0.6 MB of text; 8 MiB leaves room for escapes, and a file without line breaks cannot fill the memory. */
export const MAX_LINE_BYTES = 8 * 2 ** 20;

export interface Line {
  /** From 1. */
  number: number;
  text: string;
}

const NEWLINE = 0x0a;

/** A line that cannot be read. */
export interface BadLine {
  number: number;
  refusal: Refusal;
}

/**
 * Splits a stream of bytes into lines of UTF-8, with one in memory at a time. Handles `\n` and `\r\n` and skips a byte order mark.
 * @param where the error's code and param
 * @returns each line, or why it cannot be read: it is too long, or not UTF-8. A file in another encoding or format ends with its first line
 */
export async function* splitLines(bytes: AsyncIterable<Uint8Array>, where: { code: string; param: string }): AsyncGenerator<Line | BadLine> {
  const decoder = new TextDecoder('utf-8', { fatal: true }); // drops a byte order mark
  let pieces: Uint8Array[] = [];
  let pendingBytes = 0;
  let number = 0;
  let isTooLong = false;

  const refusal = (message: string, hint: string) => new Refusal(where.code, message, { param: where.param, hint });
  const refuse = (what: string, { is, hint }: ForeignFormat) => refusal(`${what} ${is}`, hint);
  /** Of a file whose first line begins so. */
  const foreign = (start: Uint8Array): BadLine | null => {
    const format = foreignFormat(start);
    return format && { number: 1, refusal: refuse('the file', format) };
  };
  const joined = (last: Uint8Array): Uint8Array => (pieces.length === 0 ? last : Buffer.concat([...pieces, last]));
  const take = (line: Uint8Array): Line | BadLine => {
    if (isTooLong || line.length > MAX_LINE_BYTES) return tooLong();
    if (line.indexOf(0) !== -1) return { number, refusal: refuse(`line ${number}`, nulBytes(line)) };
    try {
      const text = decoder.decode(line);
      return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    } catch {
      return { number, refusal: refusal(`line ${number} is not UTF-8`, 'Save the file as UTF-8.') };
    }
  };
  const tooLong = (): BadLine => {
    const hint = 'Put one example on each line and end it with a line feed.';
    return { number, refusal: refusal(`line ${number} is longer than ${MAX_LINE_BYTES / 2 ** 20} MiB`, hint) };
  };
  const startNext = (): void => {
    pieces = [];
    pendingBytes = 0;
    isTooLong = false;
  };

  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      number += 1;
      const line = joined(chunk.subarray(start, end));
      const other = number === 1 ? foreign(line) : null;
      yield other ?? take(line);
      if (other !== null) return;
      startNext();
      start = end + 1;
    }
    if (start === chunk.length || isTooLong) continue;
    pieces.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes <= MAX_LINE_BYTES) continue;
    const other = number === 0 ? foreign(joined(new Uint8Array())) : null;
    if (other !== null) {
      yield other;
      return;
    }
    // The rest of the line is read without keeping it.
    isTooLong = true;
    pieces = [];
  }
  if (pendingBytes === 0) return;
  number += 1;
  const line = joined(new Uint8Array());
  yield (number === 1 ? foreign(line) : null) ?? take(line);
}
