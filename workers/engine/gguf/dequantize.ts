/**
 * The values of tensors as GGUF stores them. Arithmetic in f32, operation by operation in ggml's order, so that every bit is that of its reference.
 * Source: `ggml-quants.c`, and `quants.py` of the `gguf` package.
 */
import { decodeFloats } from '../io/float-formats.ts';
import { type BlockDecoder, blocksOf32 } from './blocks-of-32.ts';
import { kQuants } from './k-quants.ts';
import { type StoredType, TENSOR_TYPES } from './tensor-types.ts';

const BLOCKS: Readonly<Record<Exclude<StoredType, 'f32' | 'f16' | 'bf16'>, BlockDecoder>> = { ...blocksOf32, ...kQuants };
const FLOATS = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * @param bytes a whole number of blocks, in memory of their own
 * @returns the elements in order
 */
export function dequantize(bytes: Uint8Array<ArrayBuffer>, type: StoredType): Float32Array {
  if (type === 'f32' || type === 'f16' || type === 'bf16') return decodeFloats(bytes, FLOATS[type]);
  const [decode, { elements, bytes: blockBytes }] = [BLOCKS[type], TENSOR_TYPES[type]];
  const values = new Float32Array((bytes.length / blockBytes) * elements);
  for (let at = 0, to = 0; at < bytes.length; at += blockBytes, to += elements) decode(bytes, at, values, to);
  return values;
}
