import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dequantize } from '../../../../workers/engine/gguf/dequantize.ts';
import { type StoredType, TENSOR_TYPES } from '../../../../workers/engine/gguf/tensor-types.ts';

interface Blocks {
  /** Both as base64; the values are those that the `gguf` package computes. */
  types: Record<string, { blocks: string; values: string }>;
}

const { types } = JSON.parse(readFileSync(new URL('../../../fixtures/gguf/blocks.json', import.meta.url), 'utf8')) as Blocks;
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'));

describe('dequantize', () => {
  it.each(Object.keys(types))('of random blocks of %s › gives the bits of the gguf package', (type) => {
    const { blocks, values } = types[type]!;
    const got = dequantize(bytesOf(blocks), type as StoredType);
    expect(Buffer.from(got.buffer).equals(bytesOf(values))).toBe(true);
  });

  it('has a witness for every type but the floats', () => {
    expect([...Object.keys(types), 'f32', 'f16', 'bf16'].sort()).toEqual(Object.keys(TENSOR_TYPES).sort());
  });
});
