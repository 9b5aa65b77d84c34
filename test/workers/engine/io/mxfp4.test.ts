import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { withUnpacked } from '../../../../workers/engine/io/mxfp4.ts';
import { type CopiedTensor, openSafetensors, type SafetensorsFile, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { openWeightFiles, storedShapes } from '../../../../workers/engine/io/weight-files.ts';

const NAMES = ['every.weight', 'usual.weight'];
const open: SafetensorsFile[] = [];
const opened = (name: string) => {
  const file = openSafetensors(referencePath('mxfp4', `${name}.safetensors`));
  open.push(file);
  return { file, where: name };
};
afterEach(() => {
  for (const file of open.splice(0)) file.close();
});

const stored = (shape: number[], all: Uint8Array): CopiedTensor => ({
  ...{ dtype: 'U8', shape, byteLength: all.length },
  readInto: (bytes, first) => bytes.set(all.subarray(first, first + bytes.length)),
});
const packed = () => withUnpacked(['packed-blocks', 'packed-scales'].map(opened));
const expected = (name: string): { shape: number[]; bits: Uint16Array } => {
  const { file } = opened('unpacked');
  const { shape, byteLength } = file.header.tensors.get(name)!;
  const bits = new Uint16Array(byteLength / 2);
  file.readInto(name, bits);
  return { shape, bits };
};

describe('a matrix in MXFP4 whose blocks and scales are in two files', () => {
  it.each(NAMES)('%s has the shape and the bits that transformers gives it in bf16', (name) => {
    const { file } = packed()[0]!;
    const { shape, bits } = expected(name);
    expect(file.header.tensors.get(name)).toMatchObject({ dtype: 'BF16', shape });
    const held = new Uint16Array(bits.length);
    expect(file.readInto(name, held)).toBe(-1);
    expect(held).toEqual(bits);
    const bytes = new Uint8Array(2 * bits.length);
    file.readBytesInto(name, bytes, 0);
    expect(bytes).toEqual(new Uint8Array(bits.buffer));
  });

  it.each(NAMES)('%s has the same values in f32, read whole or from any element on', (name) => {
    const { file } = packed()[0]!;
    const whole = opened('unpacked').file.read(name).data;
    expect(file.read(name).data).toEqual(whole);
    for (const [first, count] of [
      [0, 1],
      [7, 13],
      [whole.length - 9, 9],
      [Math.floor(whole.length / 3) - 2, 5],
    ] as const) {
      const held = new Float32Array(count);
      file.readInto(name, held, first);
      expect(held).toEqual(whole.slice(first, first + count));
    }
  });

  it('stands in for the pair, which is found under its own names no more', () => {
    expect(packed().map(({ file }) => [...file.header.tensors.keys()])).toEqual([NAMES.toSorted(), []]);
  });

  it('of another size than the memory is an error', () => {
    expect(() => packed()[0]!.file.readInto('usual.weight', new Float32Array(3))).toThrow('does not fit into 3');
  });
});

describe('a scale that means NaN', () => {
  it('is found at its first value', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'graft-mxfp4-'));
    try {
      const copied = new Map([
        ['m_blocks', stored([1, 3, 1, 16], new Uint8Array(48).fill(0x22))],
        ['m_scales', stored([1, 3, 1], Uint8Array.of(127, 255, 127))],
      ]);
      writeSafetensors(join(dir, 'model.safetensors'), new Map(), { copied });
      expect(storedShapes(dir)).toEqual(new Map([['m', [1, 32, 3]]]));
      const [{ file } = opened('unpacked')] = openWeightFiles(dir, { packed: true });
      open.push(file);
      expect(file.readInto('m', new Uint16Array(96))).toBe(1);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
