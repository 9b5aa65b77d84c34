/**
 * Reads GGUF files, versions 2 and 3. A file may come from anyone: every count, length and place is checked before it is used.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Refusal } from '../../../src/formats/refusal.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { cut } from '../../../src/formats/shown.ts';
import { dequantize } from './dequantize.ts';
import { HeaderBytes } from './header-bytes.ts';
import { GgufMetadata } from './metadata.ts';
import { otherTypeName } from './other-types.ts';
import { type StoredType, TENSOR_TYPES, tensorBytes } from './tensor-types.ts';

const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
const MAX_VALUES = 1 << 16;
const MAX_TENSORS = 1 << 16;
const MAX_NAME_BYTES = 256;
const MAX_DIMENSIONS = 4;
const MAX_ELEMENTS = 2 ** 40;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

export interface StoredGgufTensor {
  type: StoredType;
  /** As in a checkpoint, slowest dimension first. */
  shape: readonly number[];
  /** From the beginning of the file, bytes. */
  offset: number;
  byteLength: number;
}

export interface GgufFile {
  readonly path: string;
  readonly metadata: GgufMetadata;
  /** By name, in the file's order. */
  readonly tensors: ReadonlyMap<string, StoredGgufTensor>;
  /** @returns the tensor's values; never more than one tensor is in memory */
  read(name: string): Float32Array;
  close(): void;
}

const TYPES_BY_CODE: ReadonlyMap<number, StoredType> = new Map(Object.entries(TENSOR_TYPES).map(([type, { code }]) => [code, type as StoredType]));

/** @throws Refusal `corrupt_model_file` that says what is wrong and where; `unsupported_architecture` for a type of tensors that is not read */
export function openGguf(path: string): GgufFile {
  const file = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(file).size;
    const bytes = new HeaderBytes(file, fileBytes, path);
    const counts = readCounts(bytes, path);
    const metadata = new GgufMetadata(path);
    for (let i = 0; i < counts.values; i++) metadata.readNext(bytes);
    const described = new Map<string, Described>();
    for (let i = 0; i < counts.tensors; i++) readTensor(bytes, described);
    const alignment = metadata.natural('general.alignment') ?? DEFAULT_ALIGNMENT;
    if (alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) !== 0)
      throw metadata.wrong(`general.alignment is ${alignment}, not a power of two up to ${MAX_ALIGNMENT}`);
    refuseOtherTypes(described, path);
    const start = Math.ceil(bytes.position / alignment) * alignment;
    const tensors = new Map([...described].map(([name, one]) => [name, placed(one, start)]));
    checkPlaces(tensors, { fileBytes, alignment, bytes, start });
    return {
      path,
      metadata,
      tensors,
      read(name) {
        const { type, offset, byteLength } = tensors.get(name)!;
        const stored = new Uint8Array(new ArrayBuffer(byteLength));
        fill(file, offset, stored);
        return dequantize(stored, type);
      },
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function readCounts(bytes: HeaderBytes, path: string): { tensors: number; values: number } {
  const magic = bytes.u32();
  if (magic !== MAGIC) throw bytes.broken(`it begins with ${magic.toString(16).padStart(8, '0')}, not with "GGUF"`);
  const version = bytes.u32();
  if (!VERSIONS.includes(version))
    throw new Refusal('unsupported_architecture', `${path} is of version ${version} of GGUF; versions ${VERSIONS.join(' and ')} are read`, {
      param: 'model',
      hint: 'Convert the model again with a current llama.cpp, on a little-endian machine.',
    });
  return { tensors: bytes.count(MAX_TENSORS, 'tensors'), values: bytes.count(MAX_VALUES, 'values') };
}

interface Described {
  shape: number[];
  code: number;
  /** From where the tensors' bytes begin. */
  offset: number;
}

function readTensor(bytes: HeaderBytes, described: Map<string, Described>): void {
  const name = bytes.text(MAX_NAME_BYTES, "a tensor's name");
  if (described.has(name)) throw bytes.broken(`it has the tensor ${cut(name)} twice`);
  const dimensions = bytes.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS)
    throw bytes.broken(`the tensor ${cut(name)} has ${dimensions} dimensions, not 1 to ${MAX_DIMENSIONS}`);
  const shape = Array.from({ length: dimensions }, () => bytes.u64()).reverse();
  if (shape.includes(0) || shapeSize(shape) > MAX_ELEMENTS) throw bytes.broken(`the tensor ${cut(name)} is [${shape}], which no tensor can be`);
  described.set(name, { shape, code: bytes.u32(), offset: bytes.u64() });
}

/** Types named in one message. */
const NAMED_TYPES = 5;

function refuseOtherTypes(described: ReadonlyMap<string, Described>, path: string): void {
  const others = new Map<number, string>();
  for (const [name, { code }] of described) if (!TYPES_BY_CODE.has(code) && !others.has(code)) others.set(code, name);
  if (others.size === 0) return;
  const named = [...others].slice(0, NAMED_TYPES).map(([code, name]) => `${otherTypeName(code)} (${cut(name)}, for one)`);
  const known = Object.keys(TENSOR_TYPES).map((type) => type.toUpperCase());
  throw new Refusal('unsupported_architecture', `${path} has tensors of the type ${named.join(', ')}`, {
    param: 'model',
    hint: `These are read: ${known.join(', ')}. Take the model in one of them.`,
  });
}

function placed({ shape, code, offset }: Described, start: number): StoredGgufTensor {
  const type = TYPES_BY_CODE.get(code)!;
  return { type, shape, offset: start + offset, byteLength: tensorBytes(shape, type) };
}

interface Places {
  fileBytes: number;
  alignment: number;
  bytes: HeaderBytes;
  /** Where the tensors' bytes begin. */
  start: number;
}

function checkPlaces(tensors: ReadonlyMap<string, StoredGgufTensor>, { fileBytes, alignment, bytes, start }: Places): void {
  let [end, before] = [start, 'the header'];
  for (const [name, { shape, type, offset, byteLength }] of [...tensors].sort(([, a], [, b]) => a.offset - b.offset)) {
    const { elements } = TENSOR_TYPES[type];
    const tensor = `the tensor ${cut(name)}`;
    if (shape.at(-1)! % elements !== 0)
      throw bytes.broken(`${tensor} has rows of ${shape.at(-1)}, and ${type.toUpperCase()} has blocks of ${elements}`);
    if (offset % alignment !== 0) throw bytes.broken(`${tensor} begins at byte ${offset}, which is no multiple of ${alignment}`);
    if (offset < end) throw bytes.broken(`${tensor} lies across ${before}`);
    if (offset + byteLength > fileBytes) throw bytes.broken(`${tensor} ends at byte ${offset + byteLength}, and the file at ${fileBytes}`);
    [end, before] = [offset + byteLength, tensor];
  }
}

/** Linux moves at most 2 GiB per call. */
const CHUNK_BYTES = 1 << 30;

function fill(file: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const count = readSync(file, bytes, done, Math.min(bytes.byteLength - done, CHUNK_BYTES), offset + done);
    if (count === 0) throw new Error(`the file ended ${bytes.byteLength - done} bytes early while it was read`);
    done += count;
  }
}
