import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { encodeFloats } from '../../../../workers/engine/io/float-formats.ts';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { refusal } from '../../../refusal.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-safetensors-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** A file with this header, followed by `dataBytes` zeros. */
function fileOf(header: unknown, dataBytes: number): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(dir, 'made.safetensors');
  writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return path;
}

describe('writeSafetensors', () => {
  const tensors = new Map([
    ['b', { shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 65504) }],
    ['a', { shape: [], data: Float32Array.of(3) }],
  ]);

  it.each(['F32', 'F16', 'BF16'] as const)('as %s writes tensors that read back the same, sorted by name', (dtype) => {
    const path = join(dir, `${dtype}.safetensors`);
    writeSafetensors(path, tensors, { dtype });
    const read = readSafetensors(path);
    expect([...read.keys()]).toEqual(['a', 'b']);
    expect(read.get('a')).toEqual({ dtype, shape: [], data: Float32Array.of(3) });
    expect([...read.get('b')!.data]).toEqual(dtype === 'BF16' ? [1, -2, 0.5, 65536] : [1, -2, 0.5, 65504]);
  });

  it('gives the same bytes twice and leaves no other file', () => {
    const path = join(dir, 'same.safetensors');
    writeSafetensors(path, tensors);
    const first = readFileSync(path);
    writeSafetensors(path, new Map([...tensors].reverse()));
    expect(readFileSync(path)).toEqual(first);
    expect(readdirSync(dir).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('writes the tensors of a PEFT file so that they read back the same', () => {
    const theirs = referencePath('cases', 'llama-gqa-tied', 'adapters', 'all-linear', 'adapter', 'adapter_model.safetensors');
    const path = join(dir, 'again.safetensors');
    const read = readSafetensors(theirs);
    writeSafetensors(path, read as ReadonlyMap<string, { shape: number[]; data: Float32Array }>);
    expect(readSafetensors(path)).toEqual(read);
  });

  /** By hand: ties round to even; up to 2⁻²⁵ becomes 0; above 65519 becomes infinite. */
  it.each([
    ['F16', 1 + 2 ** -11, 1],
    ['F16', 1 + 3 * 2 ** -11, 1 + 2 ** -9],
    ['F16', 2 ** -24, 2 ** -24],
    ['F16', 2 ** -25, 0],
    ['F16', 2 ** -25 * 1.5, 2 ** -24],
    ['F16', 2 ** -14 - 2 ** -26, 2 ** -14],
    ['F16', -65519, -65504],
    ['F16', 65520, Number.POSITIVE_INFINITY],
    ['F16', Number.NaN, Number.NaN],
    ['BF16', 1 + 2 ** -8, 1],
    ['BF16', 1 + 3 * 2 ** -8, 1 + 2 ** -6],
    ['BF16', Number.NaN, Number.NaN],
    ['BF16', Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ] as const)('as %s rounds %d to %d', (dtype, value, wanted) => {
    const path = join(dir, 'rounded.safetensors');
    writeSafetensors(path, new Map([['x', { shape: [1], data: Float32Array.of(value) }]]), { dtype });
    expect(readSafetensors(path).get('x')!.data[0]).toBe(wanted);
  });
});

describe('a tensor read into existing memory', () => {
  const reference = readReference<{ f32: number[]; bf16: number[]; f16: number[] }>('half-floats.json');
  const some = new Float32Array(Uint32Array.from(reference.f32).buffer);
  // Longer than what is converted at once, and not a multiple of it.
  const times = Math.ceil(70_001 / some.length);
  const repeated = <T>(values: readonly T[]): T[] => Array.from({ length: times }, () => values).flat();
  const data = Float32Array.from(repeated([...some]));

  function into<T extends Float32Array | Uint16Array>(dtype: 'F32' | 'F16' | 'BF16', held: T): T {
    const path = join(dir, `held-${dtype}.safetensors`);
    // The tensor that is read, b, does not begin where the data does.
    const tensors = new Map([
      ['a', { shape: [3], data: Float32Array.of(1, 2, 3) }],
      ['b', { shape: [data.length], data }],
    ]);
    writeSafetensors(path, tensors, { dtype });
    const file = openSafetensors(path);
    try {
      file.readInto('b', held);
      return held;
    } finally {
      file.close();
    }
  }

  it.each(['F32', 'BF16'] as const)('as bf16 › from %s is what PyTorch rounds it to', (dtype) => {
    const whole = new Uint16Array(data.length + 2);
    into(dtype, whole.subarray(1, -1));
    expect(whole).toEqual(Uint16Array.from([0, ...repeated(reference.bf16), 0]));
  });

  it('as bf16 › from F16 has its values rounded', () => {
    const bits = new Uint16Array(encodeFloats(into('F16', new Float32Array(data.length)), 'BF16').slice().buffer);
    expect(into('F16', new Uint16Array(data.length))).toEqual(bits);
  });

  it.each(['F32', 'F16', 'BF16'] as const)('as f32 › from %s has the values that a read into new memory gives', (dtype) => {
    const whole = new Float32Array(data.length + 2);
    into(dtype, whole.subarray(1, -1));
    const alone = readSafetensors(join(dir, `held-${dtype}.safetensors`)).get('b')!.data;
    expect(whole).toEqual(Float32Array.from([0, ...alone, 0]));
  });

  it('of another size or of integers › is refused', () => {
    expect(() => into('F32', new Float32Array(data.length - 1))).toThrow(/does not fit/);
    const path = fileOf({ ids: { dtype: 'I32', shape: [2], data_offsets: [0, 8] } }, 8);
    const file = openSafetensors(path);
    expect(() => file.readInto('ids', new Float32Array(2))).toThrow(/I32 holds no floats/);
    file.close();
  });
});

describe('readSafetensors', () => {
  const entry = (begin: number, end: number, change: object = {}): object => ({ dtype: 'F32', shape: [2], data_offsets: [begin, end], ...change });

  it.each([
    ['an empty file', '', 'too short'],
    ['a header that is not JSON', fileText('{'), 'not JSON'],
    ['a header that is not an object', fileText('[]'), 'not a JSON object'],
  ])('refuses %s and names the file', (_, content, message) => {
    const path = join(dir, 'bad.safetensors');
    writeFileSync(path, content);
    const error = refusal(() => readSafetensors(path));
    expect(error.code).toBe('corrupt_model_file');
    expect(error.message).toContain(message);
    expect(error.message).toContain('bad.safetensors');
  });

  it.each([
    ['cut off', { x: entry(0, 8) }, 4, 'tensor x is cut off'],
    ['of an unknown type', { x: entry(0, 8, { dtype: 'F4' }) }, 8, 'tensor x has type "F4"'],
    ['whose shape and size differ', { x: entry(0, 8, { shape: [3] }) }, 8, 'tensor x [3] of F32 takes 12 bytes, but has 8'],
    ['with a negative offset', { x: entry(-8, 0) }, 8, 'tensor x has the offsets'],
    ['that overlap', { x: entry(0, 8), y: entry(4, 12) }, 12, 'tensor y overlaps tensor x'],
    ['with a gap', { x: entry(0, 8), y: entry(12, 20) }, 20, 'between tensor x and tensor y'],
    ['followed by more bytes', { x: entry(0, 8) }, 9, '1 bytes after tensor x'],
  ])('refuses tensors %s and names them', (_, header, dataBytes, message) => {
    const error = refusal(() => readSafetensors(fileOf(header, dataBytes)));
    expect(error.code).toBe('corrupt_model_file');
    expect(error.message).toContain(message);
  });

  it('names a real file that is cut off in its data or its header', () => {
    const whole = readFileSync(referencePath('cases', 'llama-gqa-tied', 'model', 'model.safetensors'));
    const path = join(dir, 'cut.safetensors');
    for (const bytes of [whole.length - 1, 100, 8, 3]) {
      writeFileSync(path, whole.subarray(0, bytes));
      expect(refusal(() => readSafetensors(path)).message).toContain('cut.safetensors');
    }
  });

  it('refuses an absurd header length without allocating it', () => {
    const path = join(dir, 'absurd.safetensors');
    writeFileSync(path, Buffer.alloc(64, 0xff));
    expect(refusal(() => readSafetensors(path)).message).toContain('header claims');
  });
});

function fileText(json: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, Buffer.from(json)]);
}
