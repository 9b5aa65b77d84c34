import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openGguf } from '../../../../workers/engine/gguf/read-file.ts';
import { type Content, ggufBytes, type Tensor } from './gguf-bytes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'graft-gguf-file-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const A: Tensor = { name: 'a', dimensions: [2, 3], type: 0, bytes: floats(1, 2, 3, 4, 5, 6) };
const B: Tensor = { name: 'b', dimensions: [1], type: 0, bytes: floats(7) };

function open(content: Partial<Content>, change: (bytes: Buffer) => Buffer = (bytes) => bytes) {
  const path = join(scratch, 'model.gguf');
  writeFileSync(path, change(ggufBytes({ values: [], tensors: [A, B], ...content })));
  return openGguf(path);
}

const problemOf = (...given: Parameters<typeof open>): string => {
  try {
    open(...given).close();
  } catch (error) {
    expect(error).toMatchObject({ name: 'Refusal', param: 'model', hint: expect.any(String) });
    return (error as Error).message.replaceAll(`${scratch}/`, '');
  }
  return 'none';
};

describe('openGguf', () => {
  it.each([2, 3])('of version %i › reads values of every type, and tensors with their slowest dimension first', (version) => {
    const file = open({
      version,
      values: [
        ['text', { string: 'naïve' }],
        ['flag', { bool: true }],
        ['small', { u32: 7 }],
        ['large', { u64: 2n ** 40n }],
        ['epsilon', { f32: 1e-5 }],
        ['texts', { strings: ['a', '', 'ü'] }],
        ['numbers', { floats: [0.5, -1] }],
      ],
    });
    const { metadata } = file;
    expect([metadata.text('text'), metadata.flag('flag'), metadata.natural('small'), metadata.natural('large')]).toEqual(['naïve', true, 7, 2 ** 40]);
    expect([metadata.number('epsilon'), metadata.strings('texts'), metadata.numbers('numbers')]).toEqual([1e-5, ['a', '', 'ü'], [0.5, -1]]);
    expect([metadata.text('absent'), metadata.strings('absent')]).toEqual([null, null]);
    expect(file.tensors.get('a')!.shape).toEqual([3, 2]);
    expect([...file.read('a'), ...file.read('b')]).toEqual([1, 2, 3, 4, 5, 6, 7]);
    file.close();
  });

  it('of a value of another type than is asked for › names the key and the value', () => {
    const { metadata } = open({
      values: [
        ['a.b', { string: 'x' }],
        ['c', { strings: [] }],
      ],
    }); // prettier-ignore
    expect(() => metadata.natural('a.b')).toThrow(/a\.b is "x", not a whole number/);
    expect(() => metadata.text('c')).toThrow(/c is a list of 0, not a text/);
    expect(() => metadata.strings('a.b')).toThrow(/a\.b is not a list of texts/);
  });

  const list = (type: number, count: bigint): Buffer => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt32LE(type);
    bytes.writeBigUInt64LE(count, 4);
    return bytes;
  };

  it.each<[string, Partial<Content>, RegExp, ((bytes: Buffer) => Buffer)?]>([
    ['another magic number', { magic: 'GGML' }, /it begins with 4c4d4747, not with "GGUF"/],
    ['version 1', { version: 1 }, /is of version 1 of GGUF; versions 2 and 3 are read/],
    ['the other byte order', { version: 3 << 24 }, /is of version 50331648/],
    ['more tensors than any model has', { counts: { tensors: 2n ** 62n } }, /it claims 4611686018427388000 tensors; the limit is 65536/],
    ['more values than it has', { counts: { values: 3 } }, /is not a whole GGUF file/],
    ['a text that is longer than the file', { values: [['a', { type: 8, bytes: list(99_999, 0n).subarray(0, 8) }]] }, /it ends after \d+ bytes/],
    [
      'a text of a terabyte',
      {
        values: [
          [
            'a',
            {
              type: 8,
              bytes: list(0, 1n << 8n)
                .subarray(0, 8)
                .fill(0xff),
            },
          ],
        ],
      },
      /bytes of a; the limit is/,
    ],
    ['a list of a billion', { values: [['a', { type: 9, bytes: list(4, 1_000_000_000n) }]] }, /it claims 1000000000 elements of a; the limit is/],
    ['a list of lists', { values: [['a', { type: 9, bytes: list(9, 1n) }]] }, /a is a list of lists/],
    ['a value of an unknown type', { values: [['a', { type: 13, bytes: Buffer.alloc(0) }]] }, /a is of the type 13/],
    ['a list of an unknown type', { values: [['a', { type: 9, bytes: list(77, 1n) }]] }, /a is a list of the type 77/],
    [
      'a key twice',
      {
        values: [
          ['a', { u32: 1 }],
          ['a', { u32: 1 }],
        ],
      },
      /it has a twice/,
    ], // prettier-ignore
    ['an alignment that is no power of two', { values: [['general.alignment', { u32: 24 }]] }, /general\.alignment is 24/],
    ['a tensor twice', { tensors: [A, A] }, /it has the tensor a twice/],
    ['a tensor of five dimensions', { tensors: [{ ...A, dimensions: [1, 1, 1, 2, 3] }] }, /the tensor a has 5 dimensions/],
    ['a tensor of no elements', { tensors: [{ ...A, dimensions: [0, 3] }] }, /the tensor a is \[3,0\]/],
    ['a tensor of 2⁸⁰ elements', { tensors: [{ ...A, dimensions: [2n ** 40n, 2n ** 40n] }] }, /which no tensor can be/],
    ['a tensor that begins between two places', { tensors: [{ ...A, offset: 4 }] }, /the tensor a begins at byte \d+, which is no multiple of 32/],
    ['two tensors at one place', { tensors: [A, { ...B, offset: 0 }] }, /the tensor b lies across the tensor a/],
    ['a tensor past its end', { tensors: [{ ...A, dimensions: [2, 300] }] }, /the tensor a ends at byte \d+, and the file at \d+/],
    ['rows that blocks do not fill', { tensors: [{ ...A, type: 2 }] }, /the tensor a has rows of 2, and Q4_0 has blocks of 32/],
    ['a type that is not read', { tensors: [{ ...A, type: 39 }, B] }, /tensors of the type MXFP4 \(a, for one\)/],
    ['a type that nobody knows', { tensors: [{ ...A, type: 200 }, B] }, /tensors of the type number 200/],
    ['nothing in it', {}, /it ends after 0 bytes/, () => Buffer.alloc(0)],
    ['its second half missing', {}, /is not a whole GGUF file/, (bytes) => bytes.subarray(0, bytes.length / 2)],
  ])('with %s › refuses the file and says so', (_, content, problem, change) => {
    expect(problemOf(content, change)).toMatch(problem);
  });
});
