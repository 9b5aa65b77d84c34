/**
 * Matrices in MXFP4 (OCP Microscaling Formats 1.0), as gpt-oss stores those of its experts: 32 neighbours in a row are 4-bit floats that share a power of
 * two. `x_blocks` is [experts, out, in / 32, 16] of u8, the first of two neighbours in the lower half of a byte; `x_scales` is [experts, out, in / 32] of u8,
 * exponents plus 127. Together they are x [experts, in, out] in bf16, as in transformers' `convert_moe_packed_tensors`. No value is rounded.
 */
import type { TensorEntry } from '../../../src/formats/safetensors.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { firstNonFinite, type HeldFloats } from './float-formats.ts';
import { remembering } from './remembering.ts';
import type { SafetensorsFile } from './safetensors.ts';

/** A file of a model directory. */
export interface WeightFile {
  file: SafetensorsFile;
  /** The file's name. */
  where: string;
}

const NEIGHBOURS = 32;
const [BLOCKS, SCALES] = ['_blocks', '_scales'];

/** One sign, two exponent bits, one of the fraction. */
const FLOATS = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** The value of each float under each scale, at scale · 16 + its bits, made at first use. */
let tables: { f32: Float32Array; bf16: Uint16Array } | undefined;

function valueTables(): { f32: Float32Array; bf16: Uint16Array } {
  const f32 = Float32Array.from({ length: 256 * FLOATS.length }, (_, index) => FLOATS[index % FLOATS.length]! * 2 ** ((index >> 4) - 127));
  // Two bits of a fraction are exact in bf16, subnormal or not.
  const bf16 = Uint16Array.from(new Uint32Array(f32.buffer), (bits) => bits >>> 16);
  return { f32, bf16 };
}

/** @returns the files with each such pair, which may be in two files, in the place of which there is the matrix that it is */
export function withUnpacked(files: readonly WeightFile[]): WeightFile[] {
  const owners = new Map(files.flatMap(({ file }) => [...file.header.tensors.keys()].map((name) => [name, file])));
  const pairs = new Map<string, Pair>();
  const bytesOf = remembering(1, (read: Expert) => read()); // a matrix is read a piece at a time
  for (const [stored, blocksIn] of owners) {
    const name = stored.slice(0, -BLOCKS.length);
    const scalesIn = stored.endsWith(BLOCKS) && !owners.has(name) ? owners.get(`${name}${SCALES}`) : undefined;
    const pair = scalesIn === undefined ? null : pairOf(name, { blocksIn, scalesIn, bytesOf });
    if (pair !== null) pairs.set(name, pair);
  }
  return pairs.size === 0 ? [...files] : files.map(({ file, where }) => ({ file: unpacked(file, pairs), where }));
}

interface PackedExpert {
  blocks: Uint8Array;
  scales: Uint8Array;
}

/** Reads an expert's bytes. */
type Expert = () => PackedExpert;

interface Pair {
  name: string;
  experts: readonly Expert[];
  /** The bytes of one of the experts. */
  bytesOf(expert: Expert): PackedExpert;
  in: number;
  out: number;
}

function pairOf(
  name: string,
  { blocksIn, scalesIn, bytesOf }: Pick<Pair, 'bytesOf'> & { blocksIn: SafetensorsFile; scalesIn: SafetensorsFile },
): Pair | null {
  const [blocks, scales] = [blocksIn.header.tensors.get(`${name}${BLOCKS}`)!, scalesIn.header.tensors.get(`${name}${SCALES}`)!];
  const [experts, out, groups, bytes] = blocks.shape;
  const fits = blocks.shape.length === 4 && bytes === NEIGHBOURS / 2 && scales.shape.join() === blocks.shape.slice(0, 3).join();
  if (!fits || blocks.dtype !== 'U8' || scales.dtype !== 'U8') return null;
  const size = groups! * NEIGHBOURS * out!;
  const read = (file: SafetensorsFile, part: string, expert: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    file.readBytesInto(`${name}${part}`, bytes, expert * length);
    return bytes;
  };
  const readers = Array.from(
    { length: experts! },
    (_, expert): Expert =>
      () => ({
        blocks: read(blocksIn, BLOCKS, expert, size / 2),
        scales: read(scalesIn, SCALES, expert, size / NEIGHBOURS),
      }),
  );
  return { name, experts: readers, bytesOf, in: groups! * NEIGHBOURS, out: out! };
}

function unpacked(file: SafetensorsFile, pairs: ReadonlyMap<string, Pair>): SafetensorsFile {
  const { metadata } = file.header;
  const tensors = new Map<string, TensorEntry>();
  for (const [stored, entry] of file.header.tensors) {
    const pair = pairs.get(stored.slice(0, -BLOCKS.length));
    if (pair === undefined || !(stored.endsWith(BLOCKS) || stored.endsWith(SCALES))) tensors.set(stored, entry);
    else if (stored.endsWith(BLOCKS))
      tensors.set(pair.name, { dtype: 'BF16', shape: shapeOf(pair), offset: entry.offset, byteLength: 2 * sizeOf(pair) });
  }
  const pairIn = (name: string): Pair | undefined => (tensors.has(name) ? pairs.get(name) : undefined);
  return {
    header: { tensors, metadata },
    read(name) {
      const pair = pairIn(name);
      if (pair === undefined) return file.read(name);
      const data = new Float32Array(sizeOf(pair));
      unpackInto(pair, data, 0);
      return { dtype: 'BF16', shape: shapeOf(pair), data };
    },
    readInto(name, held, first) {
      const pair = pairIn(name);
      if (pair === undefined) return file.readInto(name, held, first);
      if (first === undefined ? held.length !== sizeOf(pair) : first + held.length > sizeOf(pair))
        throw new Error(`a tensor of ${sizeOf(pair)} elements does not fit into ${held.length}`);
      return unpackInto(pair, held, first ?? 0);
    },
    readBytesInto(name, bytes, first) {
      const pair = pairIn(name);
      if (pair === undefined) return file.readBytesInto(name, bytes, first);
      const held = new Uint16Array(bytes.length / 2);
      unpackInto(pair, held, first / 2);
      bytes.set(new Uint8Array(held.buffer));
    },
    close: () => file.close(),
  };
}

const shapeOf = (pair: Pair): number[] => [pair.experts.length, pair.in, pair.out];
const sizeOf = (pair: Pair): number => shapeSize(shapeOf(pair));

/**
 * Reads and unpacks one expert at a time.
 * @param first index of the first element that is wanted
 * @returns the index in `held` of the first value that is NaN or infinite, or −1
 */
function unpackInto(pair: Pair, held: HeldFloats, first: number): number {
  const { in: columns, out: rows } = pair;
  const size = columns * rows;
  let nonFinite = -1;
  for (let expert = Math.floor(first / size); expert * size < first + held.length; expert++) {
    const [begin, end] = [Math.max(first, expert * size), Math.min(first + held.length, (expert + 1) * size)];
    const part = held.subarray(begin - first, end - first);
    unpack({ ...pair.bytesOf(pair.experts[expert]!), columns, rows }, part, begin - expert * size);
    const found = nonFinite === -1 ? firstNonFinite(part) : -1;
    if (found !== -1) nonFinite = begin - first + found;
  }
  return nonFinite;
}

/** Rows and columns that are transposed together: so much of the blocks stays in the processor's cache. Whole columns take 1.4 times as long. */
const [ROWS, COLUMNS] = [64, 128];

interface Packed extends PackedExpert {
  columns: number;
  rows: number;
}

/** @param into the transposed matrix, [columns, rows], from its element `first` on */
function unpack(packed: Packed, into: HeldFloats, first: number): void {
  const { columns, rows } = packed;
  const last = first + into.length;
  for (let column = Math.floor(first / rows); column < columns && column * rows < last; column += COLUMNS)
    for (let row = 0; row < rows; row += ROWS)
      for (let c = column; c < Math.min(column + COLUMNS, columns); c++) {
        const [from, to] = [Math.max(row, first - c * rows), Math.min(row + ROWS, rows, last - c * rows)];
        if (from < to) unpackColumn(packed, into, { column: c, from, to, place: c * rows + from - first });
      }
}

/** @param part rows `from` to `to` of a column, and where they belong in `into` */
function unpackColumn(
  { blocks, scales, columns }: Packed,
  into: HeldFloats,
  { column, from, to, place }: { column: number; from: number; to: number; place: number },
): void {
  tables ??= valueTables();
  const values = into instanceof Uint16Array ? tables.bf16 : tables.f32;
  const [rowBytes, groups, shift] = [columns / 2, columns / NEIGHBOURS, (column & 1) * 4];
  let byte = from * rowBytes + (column >> 1);
  let scale = from * groups + (column >> 5);
  for (let at = place; at < place + to - from; at++, byte += rowBytes, scale += groups)
    into[at] = values[(scales[scale]! << 4) | ((blocks[byte]! >> shift) & 15)]!;
}
