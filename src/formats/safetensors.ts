/**
 * The header of a safetensors file: an 8-byte little-endian length, that many bytes of JSON, then the tensors' bytes.
 * Source: https://github.com/huggingface/safetensors#format
 */
import { MAX_PROBLEMS } from './problems.ts';
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';
import { shapeSize } from './shape-size.ts';
import { cut, shown } from './shown.ts';

/** Bytes per element of the types that base models are published in. */
export const ELEMENT_BYTES = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2, U8: 1, I8: 1, BOOL: 1 } as const;
export type Dtype = keyof typeof ELEMENT_BYTES;

/** The format's limit on its JSON, which keeps a corrupt length from exhausting the memory. */
const MAX_HEADER_BYTES = 100_000_000;

export interface TensorEntry {
  dtype: Dtype;
  shape: number[];
  /** Where its bytes begin in the file. */
  offset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function corrupt(where: string, what: string): Refusal {
  return new Refusal('corrupt_model_file', `${where}: ${what}`, { param: 'model', hint: 'Download or export the file again.' });
}

/**
 * @param first8 the file's first eight bytes
 * @returns the length of the JSON that follows, bytes
 */
export function parseHeaderLength(first8: Uint8Array, fileBytes: number, where: string): number {
  if (first8.byteLength < 8) throw corrupt(where, `${fileBytes} bytes is too short for a safetensors file`);
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw corrupt(where, `its header claims ${length} bytes; the format's limit is ${MAX_HEADER_BYTES}`);
  if (8 + Number(length) > fileBytes) throw corrupt(where, `it is cut off: its header is ${length} bytes long, but the file is ${fileBytes}`);
  return Number(length);
}

/**
 * Checks that every tensor has a known type, that its shape and byte range agree, and that the ranges cover the data exactly once.
 * @param json      the header's bytes
 * @param fileBytes the whole file's size
 * @throws Refusal `corrupt_model_file` naming the file and every tensor at fault
 */
export function parseHeader(json: Uint8Array, fileBytes: number, where: string): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    throw corrupt(where, `its header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(parsed)) throw corrupt(where, 'its header is not a JSON object');
  const dataStart = 8 + json.byteLength;
  const tensors = new Map<string, TensorEntry>();
  const metadata: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (problems.length >= MAX_PROBLEMS) break;
    if (name === '__metadata__') {
      if (isRecord(value)) for (const [key, text] of Object.entries(value)) metadata[key] = typeof text === 'string' ? text : JSON.stringify(text);
      continue;
    }
    const entry = parseEntry(value, dataStart);
    if (typeof entry === 'string') problems.push(`tensor ${cut(name)} ${entry}`);
    else if (entry.offset + entry.byteLength > fileBytes) {
      problems.push(`tensor ${cut(name)} is cut off: it ends at byte ${entry.offset + entry.byteLength} of a file of ${fileBytes}`);
    } else tensors.set(name, entry);
  }
  if (problems.length === 0) problems.push(...coverageProblems(tensors, dataStart, fileBytes));
  if (problems.length > 0)
    throw corrupt(where, problems.length < MAX_PROBLEMS ? problems.join('; ') : `the first ${MAX_PROBLEMS} problems: ${problems.join('; ')}`);
  return { tensors, metadata };
}

function parseEntry(value: unknown, dataStart: number): TensorEntry | string {
  if (!isRecord(value)) return 'is not described by an object';
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    return `has type ${shown(dtype)}; known types are ${Object.keys(ELEMENT_BYTES).join(', ')}`;
  }
  if (!Array.isArray(shape) || !shape.every(isNatural)) return `has the shape ${shown(shape)}`;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isNatural)) return `has the offsets ${shown(offsets)}`;
  const [begin, end] = offsets as [number, number];
  const byteLength = shapeSize(shape) * ELEMENT_BYTES[dtype as Dtype];
  if (end - begin !== byteLength) return `${shown(shape)} of ${dtype} takes ${byteLength} bytes, but has ${end - begin}`;
  return { dtype: dtype as Dtype, shape, offset: dataStart + begin, byteLength };
}

function coverageProblems(tensors: ReadonlyMap<string, TensorEntry>, dataStart: number, fileBytes: number): string[] {
  const problems: string[] = [];
  let end = dataStart;
  let previous = 'the header';
  for (const [name, entry] of [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength)) {
    if (problems.length >= MAX_PROBLEMS) break;
    if (entry.offset < end) problems.push(`tensor ${cut(name)} overlaps ${previous}`);
    if (entry.offset > end) problems.push(`${entry.offset - end} bytes between ${previous} and tensor ${cut(name)} belong to nothing`);
    end = entry.offset + entry.byteLength;
    previous = `tensor ${cut(name)}`;
  }
  if (problems.length === 0 && end < fileBytes) problems.push(`${fileBytes - end} bytes after ${previous} belong to nothing`);
  return problems;
}

/** `{ format: 'pt' }` is what transformers requires. */
export const PYTORCH = { format: 'pt' };

export interface TensorLayout {
  /** In the order of the file: sorted, so that the same tensors give the same bytes. */
  names: string[];
  /** The header, padded. */
  header: Uint8Array;
  /** Size of the whole file. */
  fileBytes: number;
}

interface LayoutOptions {
  dtype: Dtype;
  metadata?: Record<string, string>;
  /** Further tensors, each of a type of its own. */
  others?: ReadonlyMap<string, { dtype: Dtype; shape: readonly number[] }>;
}

/** Lays out a file of tensors of one type. With `others`, those of larger elements come first: each begins at a multiple of its elements' size. */
export function layOutTensors(
  shapes: ReadonlyMap<string, readonly number[]>,
  { dtype: common, metadata = PYTORCH, others = new Map() }: LayoutOptions,
): TensorLayout {
  const entryOf = (name: string) => others.get(name) ?? { dtype: common, shape: shapes.get(name)! };
  const elementBytes = (name: string): number => ELEMENT_BYTES[entryOf(name).dtype];
  const names = [...shapes.keys(), ...others.keys()].sort().sort((a, b) => elementBytes(b) - elementBytes(a));
  const entries: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const name of names) {
    const { dtype, shape } = entryOf(name);
    const begin = end;
    end += shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
    entries[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(entries));
  // Readers map the file into memory, so the data begins at a multiple of eight.
  const header = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  header.set(json);
  return { names, header, fileBytes: 8 + header.length + end };
}
