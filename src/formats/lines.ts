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

/**
 * Splits a stream of bytes into lines of UTF-8, with one in memory at a time. Handles `\n` and `\r\n` and skips a byte order mark.
 * @param where the error's code and param
 * @throws Refusal for a line that is too long or not UTF-8, and for a file in another encoding or format
 */
export async function* readLines(bytes: AsyncIterable<Uint8Array>, where: { code: string; param: string }): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true }); // drops a byte order mark
  let pieces: Uint8Array[] = [];
  let pendingBytes = 0;
  let number = 0;

  const refusal = (message: string, hint: string) => new Refusal(where.code, message, { param: where.param, hint });
  const refuse = (what: string, { is, hint }: ForeignFormat) => refusal(`${what} ${is}`, hint);
  const joined = (last: Uint8Array): Uint8Array => (pieces.length === 0 ? last : Buffer.concat([...pieces, last]));

  const take = (last: Uint8Array): Line => {
    number += 1;
    const line = joined(last);
    pieces = [];
    pendingBytes = 0;
    const foreign = number === 1 ? foreignFormat(line) : null;
    if (foreign !== null) throw refuse('the file', foreign);
    if (line.indexOf(0) !== -1) throw refuse(`line ${number}`, nulBytes(line));
    try {
      const text = decoder.decode(line);
      return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    } catch {
      throw refusal(`line ${number} is not UTF-8`, 'Save the file as UTF-8.');
    }
  };

  const checkLength = (): void => {
    if (pendingBytes <= MAX_LINE_BYTES) return;
    const foreign = number === 0 ? foreignFormat(joined(new Uint8Array())) : null;
    if (foreign !== null) throw refuse('the file', foreign);
    throw refusal(`line ${number + 1} is longer than ${MAX_LINE_BYTES / 2 ** 20} MiB`, 'Put one example on each line and end it with a line feed.');
  };

  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    checkLength();
  }
  if (pendingBytes > 0) yield take(new Uint8Array());
}
