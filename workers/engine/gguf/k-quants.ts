/** Types with blocks of 256 elements, whose parts of 16 or 32 have scales of a few bits each, which scales of the whole block multiply. */
import { type BlockDecoder, halfAt, IQ4_VALUES } from './blocks-of-32.ts';

const { fround } = Math;
const ELEMENTS = 256;

/** The scale and the minimum, six bits each, of one of eight parts of Q4_K and Q5_K; twelve bytes hold them all. */
function scaleAndMinimum(bytes: Uint8Array, first: number, part: number): [scale: number, minimum: number] {
  const [low, high] = [bytes[first + (part & 3)]!, bytes[first + 4 + (part & 3)]!];
  if (part < 4) return [low & 63, high & 63];
  const rest = bytes[first + 8 + (part & 3)]!;
  return [(rest & 15) | ((low >> 2) & 48), (rest >> 4) | ((high >> 2) & 48)];
}

/** One of sixteen scales of Q3_K, six bits each, less 32. */
function signedScale(bytes: Uint8Array, first: number, part: number): number {
  const low = (bytes[first + (part & 7)]! >> (part < 8 ? 0 : 4)) & 15;
  const high = (bytes[first + 8 + (part & 3)]! >> (2 * (part >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

/** Two bits of each element: 128 elements share 32 bytes, which hold the same place of each 32 in turn. */
const pair = (bytes: Uint8Array, first: number, i: number): number => (bytes[first + (i >> 7) * 32 + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;

/** Four bits of each element: 64 elements share 32 bytes, the low halves first. */
const nibble = (bytes: Uint8Array, first: number, i: number): number => (bytes[first + (i >> 6) * 32 + (i & 31)]! >> (4 * ((i >> 5) & 1))) & 15;

/** A bit of each element: bit i / 32 of byte i % 32. */
const bit = (bytes: Uint8Array, first: number, i: number): number => (bytes[first + (i & 31)]! >> (i >> 5)) & 1;

/** By type. */
export const kQuants = {
  q2_k(bytes, at, values, to) {
    const [d, minimum] = [halfAt(bytes, at + 80), halfAt(bytes, at + 82)];
    for (let part = 0; part < 16; part++) {
      const [scale, least] = [fround(d * (bytes[at + part]! & 15)), fround(minimum * (bytes[at + part]! >> 4))];
      for (let i = 16 * part; i < 16 * part + 16; i++) values[to + i] = fround(scale * pair(bytes, at + 16, i)) - least;
    }
  },
  q3_k(bytes, at, values, to) {
    const d = halfAt(bytes, at + 108);
    for (let part = 0; part < 16; part++) {
      const scale = fround(d * signedScale(bytes, at + 96, part));
      // The bit is set where nothing is taken off.
      for (let i = 16 * part; i < 16 * part + 16; i++) values[to + i] = scale * (pair(bytes, at + 32, i) - 4 * (bit(bytes, at, i) ^ 1));
    }
  },
  q4_k(bytes, at, values, to) {
    const [d, minimum] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let part = 0; part < 8; part++) {
      const [factor, least] = scaleAndMinimum(bytes, at + 4, part);
      const [scale, taken] = [fround(d * factor), fround(minimum * least)];
      for (let i = 32 * part; i < 32 * part + 32; i++) values[to + i] = fround(scale * nibble(bytes, at + 16, i)) - taken;
    }
  },
  q5_k(bytes, at, values, to) {
    const [d, minimum] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let part = 0; part < 8; part++) {
      const [factor, least] = scaleAndMinimum(bytes, at + 4, part);
      const [scale, taken] = [fround(d * factor), fround(minimum * least)];
      for (let i = 32 * part; i < 32 * part + 32; i++)
        values[to + i] = fround(scale * (nibble(bytes, at + 48, i) | (bit(bytes, at + 16, i) << 4))) - taken;
    }
  },
  q6_k(bytes, at, values, to) {
    const d = halfAt(bytes, at + 208);
    for (let i = 0; i < ELEMENTS; i++) {
      const scale = fround(d * ((bytes[at + 192 + (i >> 4)]! << 24) >> 24));
      const low = (bytes[at + (i >> 7) * 64 + (i & 63)]! >> (4 * ((i >> 6) & 1))) & 15;
      values[to + i] = scale * ((low | (pair(bytes, at + 128, i) << 4)) - 32);
    }
  },
  iq4_xs(bytes, at, values, to) {
    const d = halfAt(bytes, at);
    const high = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let part = 0; part < 8; part++) {
      const low = (bytes[at + 4 + (part >> 1)]! >> (4 * (part & 1))) & 15;
      const scale = fround(d * ((low | (((high >> (2 * part)) & 3) << 4)) - 32));
      const first = at + 8 + 16 * part;
      for (let i = 0; i < 32; i++) values[to + 32 * part + i] = scale * IQ4_VALUES[i < 16 ? bytes[first + i]! & 15 : bytes[first + i - 16]! >> 4]!;
    }
  },
} as const satisfies Record<string, BlockDecoder>;
