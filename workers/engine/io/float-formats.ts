/** Half-precision floats to and from f32. Little-endian, as every machine that runs this is. */

type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16';

/** Floats in memory: as f32, or as the bits of bf16. */
export type HeldFloats = Float32Array | Uint16Array;
export type HeldClass = { new (length: number): HeldFloats; readonly BYTES_PER_ELEMENT: number };

/** @param bytes aligned to the element's size */
export function decodeFloats(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const values = new Float32Array(bytes.byteLength / (dtype === 'F64' ? 8 : 2));
  decodeInto(bytes, dtype, values);
  return values;
}

/**
 * Converts floats of any type into the type of `held`.
 * @param bytes aligned to the element's size
 */
export function convertInto(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDtype, held: HeldFloats): void {
  if (held instanceof Float32Array) decodeInto(bytes, dtype, held);
  else encodeInto(decodeFloats(bytes, dtype), held, bfloat16Bits);
}

function decodeInto({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>, dtype: FloatDtype, values: Float32Array): void {
  if (dtype === 'F32') values.set(new Float32Array(buffer, byteOffset, byteLength / 4));
  else if (dtype === 'F64') values.set(new Float64Array(buffer, byteOffset, byteLength / 8));
  else if (dtype === 'BF16') decodeBfloat16(new Uint16Array(buffer, byteOffset, byteLength / 2), values);
  else decodeFloat16(new Uint16Array(buffer, byteOffset, byteLength / 2), values);
}

/**
 * A float is NaN or infinite if all bits of its exponent are set; then adding the lowest of them carries into the sign bit, which the mask has
 * cleared. Two bf16 have such bits in one word, so nothing is decoded.
 * @returns the index of the first value that is NaN or infinite, or −1
 */
export function firstNonFinite(held: HeldFloats): number {
  if (held instanceof Uint16Array) {
    const wholeWords = held.byteOffset % 4 === 0 && held.length % 2 === 0;
    return wholeWords && (carriesOfHalves(wordsOf(held)) & 0x80008000) === 0 ? -1 : held.findIndex((bits) => (bits & 0x7f80) === 0x7f80);
  }
  return carries(wordsOf(held)) >= 0 ? -1 : held.findIndex((value) => !Number.isFinite(value));
}

const wordsOf = ({ buffer, byteOffset, byteLength }: HeldFloats): Int32Array => new Int32Array(buffer, byteOffset, byteLength / 4);

/** Of an f32. The `| 0` says that the sum has 32 bits, without which it is computed in f64. */
const carryOf = (word: number): number => ((word & 0x7f800000) + 0x00800000) | 0;
/** Of two bf16. */
const carriesOf = (word: number): number => ((word & 0x7f807f80) + 0x00800080) | 0;

// Two loops, each with its constants, eight words at a time: four times as fast as one loop for both, word by word.

function carries(w: Int32Array): number {
  let carried = 0;
  let i = 0;
  for (; i + 7 < w.length; i += 8) {
    carried |= carryOf(w[i]!) | carryOf(w[i + 1]!) | carryOf(w[i + 2]!) | carryOf(w[i + 3]!);
    carried |= carryOf(w[i + 4]!) | carryOf(w[i + 5]!) | carryOf(w[i + 6]!) | carryOf(w[i + 7]!);
  }
  for (; i < w.length; i++) carried |= carryOf(w[i]!);
  return carried;
}

function carriesOfHalves(w: Int32Array): number {
  let carried = 0;
  let i = 0;
  for (; i + 7 < w.length; i += 8) {
    carried |= carriesOf(w[i]!) | carriesOf(w[i + 1]!) | carriesOf(w[i + 2]!) | carriesOf(w[i + 3]!);
    carried |= carriesOf(w[i + 4]!) | carriesOf(w[i + 5]!) | carriesOf(w[i + 6]!) | carriesOf(w[i + 7]!);
  }
  for (; i < w.length; i++) carried |= carriesOf(w[i]!);
  return carried;
}

/** Rounds to the nearest, ties to even, as PyTorch does. */
export function encodeFloats(values: Float32Array, dtype: Exclude<FloatDtype, 'F64'>): Uint8Array {
  switch (dtype) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case 'BF16':
      return encode(values, bfloat16Bits);
    case 'F16':
      return encode(values, float16Bits);
  }
}

/** bf16 is the upper half of f32. */
function decodeBfloat16(halves: Uint16Array, values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
}

/** The f32 value of each of the 65,536 half floats, made at first use. */
let float16Table: Float32Array | undefined;

function decodeFloat16(halves: Uint16Array, values: Float32Array): void {
  float16Table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => float16Value(bits));
  for (let i = 0; i < halves.length; i++) values[i] = float16Table[halves[i]!]!;
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function encode(values: Float32Array, halfBits: (bits: number) => number): Uint8Array {
  const halves = new Uint16Array(values.length);
  encodeInto(values, halves, halfBits);
  return new Uint8Array(halves.buffer);
}

function encodeInto(values: Float32Array, halves: Uint16Array, halfBits: (bits: number) => number): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) halves[i] = halfBits(bits[i]!);
}

function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds past 65504
  if (magnitude < 0x33000001) return sign; // at most half of the smallest subnormal
  if (magnitude >= 0x38800000) {
    const rebiased = magnitude - 0x38000000; // exponent bias 127 → 15
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  const shift = 126 - (magnitude >>> 23); // subnormal: 14 … 24
  const significand = (magnitude & 0x7fffff) | 0x800000;
  return sign | ((significand + (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1)) >>> shift);
}
