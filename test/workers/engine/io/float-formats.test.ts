import { describe, expect, it } from 'vitest';
import { readReference } from '../../../../reference/fixtures.ts';
import { decodeFloats, encodeFloats, firstNonFinite } from '../../../../workers/engine/io/float-formats.ts';

const reference = readReference<{ f32: number[]; bf16: number[]; f16: number[] }>('half-floats.json');
const values = new Float32Array(Uint32Array.from(reference.f32).buffer);

const halves = (bits: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(Uint16Array.from(bits).buffer);

describe.each([
  { dtype: 'BF16', bits: reference.bf16, fractionBits: 7 },
  { dtype: 'F16', bits: reference.f16, fractionBits: 10 },
] as const)('$dtype', ({ dtype, bits, fractionBits }) => {
  it('rounds ties, subnormals and overflowing numbers as PyTorch does', () => {
    const encoded = encodeFloats(values, dtype);
    expect([...new Uint16Array(encoded.slice().buffer)]).toEqual(bits);
  });

  it('is unchanged when it is read and written again', () => {
    expect(encodeFloats(decodeFloats(halves(bits), dtype), dtype)).toEqual(halves(bits));
  });

  it('is read back within half a unit in the last place', () => {
    const decoded = decodeFloats(halves(bits), dtype);
    for (const [i, value] of values.entries()) {
      const read = decoded[i]!;
      if (!Number.isFinite(read)) continue;
      const smallestStep = dtype === 'F16' ? 2 ** -24 : 2 ** -133;
      expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -(fractionBits + 1), smallestStep / 2));
    }
  });

  it('keeps NaN', () => {
    const bytes = encodeFloats(Float32Array.of(Number.NaN), dtype).slice() as Uint8Array<ArrayBuffer>;
    expect(decodeFloats(bytes, dtype)[0]).toBeNaN();
  });
});

describe('firstNonFinite', () => {
  it('of bf16 and of f32 › finds the value that decodes to NaN or infinity, wherever it is, and no other', () => {
    const every = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
    for (const bits of every.filter((_, index) => index % 7 === 0 || (index & 0x7f80) === 0x7f80)) {
      for (const [length, place] of [
        [1, 0],
        [4, 3],
        [5, 2],
        [5, 4],
      ] as const) {
        const held = new Uint16Array(length).fill(0x3f80);
        held[place] = bits;
        const floats = decodeFloats(new Uint8Array(held.buffer), 'BF16');
        const wanted = Number.isFinite(floats[place]!) ? -1 : place;
        if (firstNonFinite(held) !== wanted || firstNonFinite(floats) !== wanted) expect([bits, length, place]).toEqual('found');
      }
    }
    expect(firstNonFinite(Uint16Array.of(0x7f80, 0x3f80, 0xff80).subarray(1))).toBe(1);
    expect(firstNonFinite(values)).toBe(values.findIndex((value) => !Number.isFinite(value)));
  });
});
