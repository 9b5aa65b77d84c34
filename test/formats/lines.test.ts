import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseExample } from '../../src/formats/examples.ts';
import { foreignFormat } from '../../src/formats/foreign-format.ts';
import { MAX_LINE_BYTES, splitLines } from '../../src/formats/lines.ts';
import type { Refusal } from '../../src/formats/refusal.ts';

/** What Python makes of the same: test/fixtures/reference/lines.py */
const python = JSON.parse(readFileSync(new URL('../fixtures/reference/lines.json', import.meta.url), 'utf8')) as {
  texts: { text: string; python: 'text' | 'not text' | 'not JSON' }[];
  files: { format: string; start: string }[];
};

const outcome = (line: string): string => {
  try {
    parseExample(line, 5, 'training_file');
    return 'text';
  } catch (error) {
    const { message } = error as Refusal;
    return message.includes('is not valid JSON') ? 'not JSON' : message.includes('half a surrogate pair') ? 'not text' : message;
  }
};

const messageOf = async (chunks: Uint8Array[]): Promise<string> => {
  try {
    for await (const line of splitLines(Readable.from(chunks), { code: 'invalid_training_file', param: 'training_file' }))
      if ('refusal' in line) throw line.refusal;
    return 'read';
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_training_file', param: 'training_file', hint: expect.any(String) });
    return (error as Refusal).message;
  }
};

describe('text in a line', () => {
  it.each(python.texts)('$text › is $python, as in Python', ({ text, python: expected }) => {
    expect(outcome(`{"prompt": "${text}", "completion": "b"}`)).toBe(expected);
    expect(outcome(`{"messages": [{"role": "user", "content": "${text}"}, {"role": "assistant", "content": "b"}]}`)).toBe(expected);
    expect(outcome(`{"messages": [{"role": "assistant", "content": "b", "tool_calls": [{"function": {"arguments": {"${text}": 1}}}]}]}`)).toBe(
      expected,
    );
  });

  it('that is half an emoji › is refused with the message and the key that have it', () => {
    const line = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [{"x": ["\\ud83d"]}]}]}';
    expect(() => parseExample(line, 5, 'training_file')).toThrow('line 5, message 2 has half a surrogate pair (\\ud83d) in "tool_calls"');
    expect(() => parseExample('{"prompt": "a", "completion": "\\ude00b"}', 5, 'training_file')).toThrow(
      'line 5 has half a surrogate pair (\\ude00) in "completion"',
    );
  });

  it('with control characters › is kept as it is', () => {
    expect(parseExample('{"prompt": "a\\u0000\\u0001", "completion": "\\u007f"}', 5, 'training_file')).toMatchObject({
      prompt: 'a\0\u0001',
      completion: '\x7f',
    });
  });
});

describe('a file in another format', () => {
  const expected: Record<string, string> = {
    'utf-8': 'read',
    'utf-8-sig': 'read',
    'utf-16': 'the file is UTF-16 text (little-endian)',
    'utf-16-le': 'the file is UTF-16 text (little-endian)',
    'utf-16-be': 'the file is UTF-16 text (big-endian)',
    'utf-16-be with mark': 'the file is UTF-16 text (big-endian)',
    'utf-32': 'the file is UTF-32 text (little-endian)',
    'utf-32-le': 'the file is UTF-32 text (little-endian)',
    'utf-32-be': 'the file is UTF-32 text (big-endian)',
    'utf-32-be with mark': 'the file is UTF-32 text (big-endian)',
    gzip: 'the file is compressed with gzip',
    bzip2: 'the file is compressed with bzip2',
    xz: 'the file is compressed with xz',
    zip: 'the file is a ZIP archive',
    sqlite: 'the file is an SQLite database',
    zeros: 'the file begins with NUL bytes',
  };

  it.each(python.files)('$format › is named, in whatever chunks it comes', async ({ format, start }) => {
    const bytes = Buffer.from(start, 'base64');
    expect(await messageOf([bytes])).toBe(expected[format]);
    expect(await messageOf([...bytes].map((byte) => Uint8Array.of(byte)))).toBe(expected[format]);
  });

  it.each([
    ['PAR1\x15\x04', 'is a Parquet table'],
    ['ARROW1\0\0', 'is an Arrow table'],
    ['\x28\xb5\x2f\xfd\x04', 'is compressed with zstd'],
  ])('beginning with %j › %s', (start, is) => {
    expect(foreignFormat(Buffer.from(start, 'latin1'))).toMatchObject({ is });
  });

  it('without a line break › is named before it fills the memory', async () => {
    const endless = Array.from({ length: MAX_LINE_BYTES / 2 ** 20 + 2 }, () => new Uint8Array(2 ** 20).fill(1));
    expect(await messageOf([Buffer.from('PAR1'), ...endless])).toBe('the file is a Parquet table');
  });
});

describe('NUL bytes', () => {
  const line = '{"prompt": "a", "completion": "b"}';
  it.each([
    ['at the end of a file', Buffer.concat([Buffer.from(`${line}\n`), Buffer.alloc(64)]), 'line 2 is nothing but 64 NUL bytes'],
    ['after a line', Buffer.from(`${line}\n${line}\0\0\0\n`), 'line 2 has a NUL byte at its byte 35'],
    [
      'of text in UTF-16, appended to text in UTF-8',
      Buffer.concat([Buffer.from(`${line}\n`), Buffer.from(line, 'utf16le')]),
      'line 2 is UTF-16 text, not UTF-8',
    ],
  ])('%s › are named', async (_, bytes, message) => {
    expect(await messageOf([bytes])).toBe(message);
  });
});
