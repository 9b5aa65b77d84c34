/** Tensors in safetensors files. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import {
  type Dtype,
  ELEMENT_BYTES,
  layOutTensors,
  PYTORCH,
  parseHeader,
  parseHeaderLength,
  type SafetensorsHeader,
  type TensorEntry,
} from '../../../src/formats/safetensors.ts';
import { replaceFile, replaceFileSlowly } from './files.ts';
import { convertInto, decodeFloats, encodeFloats, firstNonFinite, type HeldFloats } from './float-formats.ts';

export interface StoredTensor {
  /** Type in the file; `data` is converted to f32 or i32. */
  dtype: Dtype;
  shape: number[];
  data: Float32Array | Int32Array;
}

/** Bytes read or written at once; Linux moves at most 2 GiB per call. */
const CHUNK_BYTES = 1 << 30;

/** An open file, from which tensors are read one at a time: a large model is never in memory twice. */
export interface SafetensorsFile {
  readonly header: SafetensorsHeader;
  /** @throws Error when the file has no such tensor */
  read(name: string): StoredTensor;
  /**
   * Reads floats into existing memory, and looks at each while it is in the processor's cache.
   * @param first index of the first element to read; by default, the whole tensor is read
   * @returns the index of the first value that is NaN or infinite, or −1
   * @throws Error when the tensor is missing, has another size or holds integers
   */
  readInto(name: string, held: HeldFloats, first?: number): number;
  /** Reads a part of a tensor as it is stored. @param first index of the first byte */
  readBytesInto(name: string, bytes: Uint8Array, first: number): void;
  close(): void;
}

/** @throws Refusal `corrupt_model_file` naming the file and the tensors at fault */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(file).size;
    const headerLength = parseHeaderLength(readBytes(file, 0, Math.min(8, fileBytes)), fileBytes, path);
    const header = parseHeader(readBytes(file, 8, headerLength), fileBytes, path);
    const entryOf = (name: string): TensorEntry => {
      const entry = header.tensors.get(name);
      if (entry === undefined) throw new Error(`${path} has no tensor ${name}`);
      return entry;
    };
    return {
      header,
      read: (name) => readTensor(file, entryOf(name)),
      readInto: (name, held, first) => readFloatsInto(file, entryOf(name), held, first),
      readBytesInto: (name, bytes, first) => fill(file, entryOf(name).offset + first, bytes),
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Everything in the file, by name in the file's order: floats as f32, integers as i32. */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const file = openSafetensors(path);
  try {
    return new Map([...file.header.tensors.keys()].map((name) => [name, file.read(name)]));
  } finally {
    file.close();
  }
}

/** A tensor that is written as it is stored elsewhere. */
export interface CopiedTensor {
  dtype: Dtype;
  shape: readonly number[];
  byteLength: number;
  /** @param first index of the first byte */
  readInto(bytes: Uint8Array, first: number): void;
}

export interface WriteOptions {
  /** Tensors beside the others. */
  copied?: ReadonlyMap<string, CopiedTensor>;
  /** Default `{ format: 'pt' }`, which transformers requires. */
  metadata?: Record<string, string>;
  /** Default F32. */
  dtype?: 'F32' | 'F16' | 'BF16';
}

/**
 * Writes tensors in the order of their names, so that the same tensors give the same bytes. The file appears complete or not at all.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  { metadata = PYTORCH, dtype = 'F32', copied = new Map() }: WriteOptions = {},
): void {
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  const { names, header } = layOutTensors(shapes, { dtype, metadata, others: copied });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));

  replaceFile(path, (file) => {
    writeBytes(file, length);
    writeBytes(file, header);
    for (const name of names) {
      const one = copied.get(name);
      for (const part of one === undefined ? encodedParts(tensors.get(name)!.data, dtype) : partsOf(one)) writeBytes(file, part);
    }
  });
}

export interface TensorReader {
  shapes: ReadonlyMap<string, readonly number[]>;
  read(name: string): Float32Array;
  /** Tensors beside them. */
  copied?: ReadonlyMap<string, CopiedTensor>;
}

/**
 * Writes tensors that are read one at a time, so that a large model is never in memory.
 * @param options.progress receives bytes written and in total
 */
export async function writeSafetensorsSlowly(
  path: string,
  { shapes, read, copied = new Map() }: TensorReader,
  { dtype, progress }: { dtype: 'F32' | 'F16' | 'BF16'; progress(bytes: number, total: number): Promise<void> },
): Promise<void> {
  const { names, header, fileBytes } = layOutTensors(shapes, { dtype, others: copied });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await replaceFileSlowly(path, async (file) => {
    writeBytes(file, length);
    writeBytes(file, header);
    let written = 8 + header.length;
    for (const name of names) {
      const one = copied.get(name);
      for (const part of one === undefined ? encodedParts(read(name), dtype) : partsOf(one)) {
        writeBytes(file, part);
        written += part.byteLength;
      }
      await progress(written, fileBytes);
    }
  });
}

/** Encoded or copied at once, so that a large tensor is not in memory twice. */
const ENCODED_ELEMENTS = 1 << 20;
const COPIED_BYTES = 1 << 22;

function* encodedParts(values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Generator<Uint8Array> {
  for (let start = 0; start < values.length; start += ENCODED_ELEMENTS) yield encodeFloats(values.subarray(start, start + ENCODED_ELEMENTS), dtype);
}

/** Each part is overwritten by the next. */
function* partsOf({ byteLength, readInto }: CopiedTensor): Generator<Uint8Array> {
  const bytes = new Uint8Array(Math.min(COPIED_BYTES, byteLength));
  for (let first = 0; first < byteLength; first += bytes.length) {
    const part = bytes.subarray(0, byteLength - first);
    readInto(part, first);
    yield part;
  }
}

function readTensor(file: number, { dtype, shape, offset, byteLength }: TensorEntry): StoredTensor {
  const bytes = readBytes(file, offset, byteLength);
  switch (dtype) {
    case 'F32':
    case 'F16':
    case 'BF16':
    case 'F64':
      return { dtype, shape, data: decodeFloats(bytes, dtype) };
    case 'I64':
      return { dtype, shape, data: Int32Array.from(new BigInt64Array(bytes.buffer), Number) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(bytes.buffer) };
    case 'I16':
      return { dtype, shape, data: Int32Array.from(new Int16Array(bytes.buffer)) };
    case 'I8':
      return { dtype, shape, data: Int32Array.from(new Int8Array(bytes.buffer)) };
    case 'U8':
    case 'BOOL':
      return { dtype, shape, data: Int32Array.from(bytes) };
  }
}

/** Elements read, converted and checked at once, few enough to stay in the processor's cache. */
const CACHED_ELEMENTS = 1 << 16;

/**
 * Reads straight into `held` when the file has its type, which saves a copy.
 * @returns the index of the first value that is NaN or infinite, or −1
 */
function readFloatsInto(file: number, { dtype, offset, byteLength }: TensorEntry, held: HeldFloats, first?: number): number {
  const elementBytes = ELEMENT_BYTES[dtype];
  if (first === undefined ? byteLength !== held.length * elementBytes : (first + held.length) * elementBytes > byteLength)
    throw new Error(`a tensor of ${byteLength / elementBytes} elements does not fit into ${held.length}`);
  if (dtype !== 'F64' && dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') throw new Error(`a tensor of ${dtype} holds no floats`);
  const sameType = dtype === (held instanceof Float32Array ? 'F32' : 'BF16');
  const read = sameType ? null : new Uint8Array(new ArrayBuffer(CACHED_ELEMENTS * elementBytes));
  let nonFinite = -1;
  for (let done = 0; done < held.length; done += CACHED_ELEMENTS) {
    const part = held.subarray(done, done + CACHED_ELEMENTS);
    const bytes = read?.subarray(0, part.length * elementBytes) ?? new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    fill(file, offset + ((first ?? 0) + done) * elementBytes, bytes);
    if (read !== null) convertInto(bytes as Uint8Array<ArrayBuffer>, dtype, part);
    const found = nonFinite === -1 ? firstNonFinite(part) : -1;
    if (found !== -1) nonFinite = done + found;
  }
  return nonFinite;
}

/** Reads into a new buffer, which is aligned for every element type. */
function readBytes(file: number, offset: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(byteLength));
  fill(file, offset, bytes);
  return bytes;
}

function fill(file: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const count = readSync(file, bytes, done, Math.min(bytes.byteLength - done, CHUNK_BYTES), offset + done);
    if (count === 0) throw new Error(`the file ended ${bytes.byteLength - done} bytes early while it was read`);
    done += count;
  }
}

function writeBytes(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(file, bytes, done, Math.min(bytes.byteLength - done, CHUNK_BYTES));
}
