/** Types with a scale, and perhaps a minimum, for each 32 elements: d·q, or d·q + m. */
import { decodeFloats } from '../io/float-formats.ts';

/** Writes the elements of the block that begins at `at` of the bytes into the values from `to` on. */
export type BlockDecoder = (bytes: Uint8Array, at: number, values: Float32Array, to: number) => void;

/** Every f16 by its bits. */
const HALVES = decodeFloats(new Uint8Array(Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits).buffer), 'F16');

/** The f16 at a place. */
export const halfAt = (bytes: Uint8Array, at: number): number => HALVES[bytes[at]! | (bytes[at + 1]! << 8)]!;

const { fround } = Math;
const HALF = 16;

/** Two elements a byte: its low bits are of the first half of the block. @param first of the bytes */
const nibble = (bytes: Uint8Array, first: number, i: number): number => (i < HALF ? bytes[first + i]! & 15 : bytes[first + i - HALF]! >> 4);

/** A fifth bit for each element, 32 of them from `first` on. */
const fifthBit = (bytes: Uint8Array, first: number, i: number): number => ((bytes[first + (i >> 3)]! >> (i & 7)) & 1) << 4;

/** What the sixteen codes of IQ4 stand for. */
export const IQ4_VALUES = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** By type. */
export const blocksOf32 = {
  q4_0(bytes, at, values, to) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) values[to + i] = d * (nibble(bytes, at + 2, i) - 8);
  },
  q4_1(bytes, at, values, to) {
    const [d, m] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let i = 0; i < 32; i++) values[to + i] = fround(d * nibble(bytes, at + 4, i)) + m;
  },
  q5_0(bytes, at, values, to) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) values[to + i] = d * ((nibble(bytes, at + 6, i) | fifthBit(bytes, at + 2, i)) - 16);
  },
  q5_1(bytes, at, values, to) {
    const [d, m] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let i = 0; i < 32; i++) values[to + i] = fround(d * (nibble(bytes, at + 8, i) | fifthBit(bytes, at + 4, i))) + m;
  },
  q8_0(bytes, at, values, to) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) values[to + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
  },
  iq4_nl(bytes, at, values, to) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) values[to + i] = d * IQ4_VALUES[nibble(bytes, at + 2, i)]!;
  },
} as const satisfies Record<string, BlockDecoder>;
