/**
 * Writes GGUF files, version 3: a header, metadata, the tensors' descriptions, then their bytes, each at a multiple of the alignment.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { writeSync } from 'node:fs';
import { replaceFileSlowly } from '../io/files.ts';
import { encodeTensor, type GgufType, TENSOR_TYPES, tensorBytes } from './tensor-types.ts';

const VERSION = 3;
/** The format's default, which readers assume without `general.alignment`. */
const ALIGNMENT_BYTES = 32;

/** Codes of metadata types; integers are stored in 32 bits. */
const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

export type Scalar = { u32: number } | { i32: number } | { f32: number } | { bool: boolean } | { string: string };
export type MetadataValue = Scalar | { strings: readonly string[] } | { floats: readonly number[] } | { integers: readonly number[] };
/** In the order of the file. */
export type Metadata = ReadonlyMap<string, MetadataValue>;

export interface GgufTensor {
  name: string;
  /** As in the checkpoint, slowest dimension first; the file has them reversed. */
  shape: readonly number[];
  type: GgufType;
  /** Called once, when the tensor is written. */
  read(): Float32Array;
}

export interface GgufContent {
  metadata: Metadata;
  tensors: readonly GgufTensor[];
}

/** Little-endian bytes that grow. */
class Bytes {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  add(part: Uint8Array): this {
    this.#parts.push(part);
    this.length += part.byteLength;
    return this;
  }

  u32 = (value: number): this => this.#number(4, (view) => view.setUint32(0, value, true));
  i32 = (value: number): this => this.#number(4, (view) => view.setInt32(0, value, true));
  f32 = (value: number): this => this.#number(4, (view) => view.setFloat32(0, value, true));
  u64 = (value: number): this => this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  bool = (value: boolean): this => this.add(Uint8Array.of(value ? 1 : 0));

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8');
    return this.u64(bytes.length).add(bytes);
  }

  all = (): Uint8Array => Buffer.concat(this.#parts);

  #number(size: number, set: (view: DataView) => void): this {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    return this.add(bytes);
  }
}

function addValue(bytes: Bytes, value: MetadataValue): void {
  if ('u32' in value) bytes.u32(VALUE_TYPES.u32).u32(value.u32);
  else if ('i32' in value) bytes.u32(VALUE_TYPES.i32).i32(value.i32);
  else if ('f32' in value) bytes.u32(VALUE_TYPES.f32).f32(value.f32);
  else if ('bool' in value) bytes.u32(VALUE_TYPES.bool).bool(value.bool);
  else if ('string' in value) bytes.u32(VALUE_TYPES.string).text(value.string);
  else {
    bytes.u32(VALUE_TYPES.array);
    if ('strings' in value) {
      bytes.u32(VALUE_TYPES.string).u64(value.strings.length);
      for (const text of value.strings) bytes.text(text);
    } else if ('floats' in value) {
      bytes
        .u32(VALUE_TYPES.f32)
        .u64(value.floats.length)
        .add(new Uint8Array(Float32Array.from(value.floats).buffer));
    } else {
      bytes
        .u32(VALUE_TYPES.i32)
        .u64(value.integers.length)
        .add(new Uint8Array(Int32Array.from(value.integers).buffer));
    }
  }
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

/** Everything before the tensors' bytes, padded. */
function header({ metadata, tensors }: GgufContent): Uint8Array {
  const bytes = new Bytes().add(Buffer.from('GGUF')).u32(VERSION).u64(tensors.length).u64(metadata.size);
  for (const [key, value] of metadata) addValue(bytes.text(key), value);
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    bytes.text(name).u32(shape.length);
    for (const size of shape.toReversed()) bytes.u64(size);
    bytes.u32(TENSOR_TYPES[type].code).u64(offset);
    offset += aligned(tensorBytes(shape, type));
  }
  return bytes.add(new Uint8Array(aligned(bytes.length) - bytes.length)).all();
}

/** Size of the whole file. */
export const ggufBytes = (content: GgufContent): number =>
  content.tensors.reduce((sum, { shape, type }) => sum + aligned(tensorBytes(shape, type)), header(content).byteLength);

/**
 * Writes one tensor after another, so that no more than one is in memory. The file appears complete or not at all, and the same content gives the same
 * bytes.
 * @param written called after each tensor with the bytes written so far
 */
export async function writeGguf(path: string, content: GgufContent, written: (bytes: number) => Promise<void>): Promise<void> {
  await replaceFileSlowly(path, async (file) => {
    const start = header(content);
    writeAll(file, start);
    let total = start.byteLength;
    for (const { shape, type, read } of content.tensors) {
      let size = 0;
      for (const part of encodeTensor(read(), shape, type)) {
        writeAll(file, part);
        size += part.byteLength;
      }
      writeAll(file, new Uint8Array(aligned(size) - size));
      total += aligned(size);
      await written(total);
    }
  });
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(file, bytes, done);
}
