/** The types in which tensors are stored in GGUF, and their encoding. */

import { shapeSize } from '../../../src/formats/shape-size.ts';
import { encodeFloats } from '../io/float-formats.ts';

/** Elements of one block of Q8_0, which share a scale. */
const BLOCK = 32;

/** Elements of one block of the K-quants. */
const SUPER_BLOCK = 256;

/** Of the types that are read: ggml's codes, and bytes per block of elements. */
export const TENSOR_TYPES = {
  f32: { code: 0, elements: 1, bytes: 4 },
  f16: { code: 1, elements: 1, bytes: 2 },
  q4_0: { code: 2, elements: BLOCK, bytes: 18 },
  q4_1: { code: 3, elements: BLOCK, bytes: 20 },
  q5_0: { code: 6, elements: BLOCK, bytes: 22 },
  q5_1: { code: 7, elements: BLOCK, bytes: 24 },
  q8_0: { code: 8, elements: BLOCK, bytes: 2 + BLOCK },
  q2_k: { code: 10, elements: SUPER_BLOCK, bytes: 84 },
  q3_k: { code: 11, elements: SUPER_BLOCK, bytes: 110 },
  q4_k: { code: 12, elements: SUPER_BLOCK, bytes: 144 },
  q5_k: { code: 13, elements: SUPER_BLOCK, bytes: 176 },
  q6_k: { code: 14, elements: SUPER_BLOCK, bytes: 210 },
  iq4_nl: { code: 20, elements: BLOCK, bytes: 18 },
  iq4_xs: { code: 23, elements: SUPER_BLOCK, bytes: 136 },
  bf16: { code: 30, elements: 1, bytes: 2 },
} as const;
export type StoredType = keyof typeof TENSOR_TYPES;
/** Those that are written too. */
export type GgufType = 'f32' | 'f16' | 'q8_0' | 'bf16';

/** `general.file_type`: the type of most tensors. */
export const FILE_TYPES: Readonly<Record<GgufType, number>> = { f32: 0, f16: 1, q8_0: 7, bf16: 32 };

/** Elements encoded at once; a multiple of every block. */
const PART_ELEMENTS = 1 << 20;

export function tensorBytes(shape: readonly number[], type: StoredType): number {
  const { elements, bytes } = TENSOR_TYPES[type];
  return (shapeSize(shape) / elements) * bytes;
}

/**
 * The type of a tensor in a file of a type, as llama.cpp chooses it: vectors, norms and learned positions stay f32, and rows that no whole number of blocks
 * fills are f16.
 */
export function typeOf(name: string, shape: readonly number[], wanted: GgufType): GgufType {
  if (shape.length < 2 || name.endsWith('_norm.weight') || name === 'position_embd.weight') return 'f32';
  return shape.at(-1)! % TENSOR_TYPES[wanted].elements === 0 ? wanted : 'f16';
}

/** @returns the tensor's bytes in parts, so that they are not all in memory beside the values */
export function* encodeTensor(values: Float32Array, shape: readonly number[], type: GgufType): Generator<Uint8Array> {
  if (values.length !== shapeSize(shape)) throw new Error(`${values.length} values do not make a tensor of [${shape}]`);
  for (let start = 0; start < values.length; start += PART_ELEMENTS) {
    const part = values.subarray(start, start + PART_ELEMENTS);
    if (type === 'q8_0') yield quantize(part);
    else yield encodeFloats(part, type === 'f32' ? 'F32' : type === 'f16' ? 'F16' : 'BF16');
  }
}

/**
 * ggml's Q8_0: for each block of 32 values x, a scale d = max|x| / 127 as f16, then round(x / d) as int8. Arithmetic in f32 and halves away from zero, as
 * in ggml's reference, so that the bytes are the same.
 */
function quantize(values: Float32Array): Uint8Array {
  const blocks = values.length / BLOCK;
  const scales = new Float32Array(blocks);
  const bytes = new Uint8Array(blocks * (2 + BLOCK));
  for (let block = 0; block < blocks; block++) {
    const x = values.subarray(block * BLOCK, (block + 1) * BLOCK);
    let largest = 0;
    for (const value of x) largest = Math.max(largest, Math.abs(value));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = scale;
    for (let i = 0; i < BLOCK; i++) {
      const scaled = Math.fround(x[i]! * inverse);
      // A negative number becomes its two's complement when it is stored.
      bytes[block * (2 + BLOCK) + 2 + i] = Math.sign(scaled) * Math.floor(Math.fround(Math.abs(scaled) + 0.5));
    }
  }
  const stored = encodeFloats(scales, 'F16');
  for (let block = 0; block < blocks; block++) bytes.set(stored.subarray(2 * block, 2 * block + 2), block * (2 + BLOCK));
  return bytes;
}
