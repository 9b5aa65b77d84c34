/** Joins many tensors into one, so that a graph holds, updates and returns a few large tensors instead of hundreds of small ones. */

import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { HeldClass, HeldFloats } from '../io/float-formats.ts';
import { decays } from '../optim/weight-decay.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

/** Elements of a row: 128 bytes in f32, 64 in bf16. TensorFlow splits rows with this alignment without copying them. */
export const COLUMNS = 32;

/** Names of the slabs that hold the vectors of all blocks: norms and biases, and those that weight decay applies to. */
const [VECTORS, DECAYING_VECTORS] = ['vectors', 'decaying-vectors'];

export interface SlabPart {
  name: string;
  shape: readonly number[];
  size: number;
  /** A part fills whole rows, with zeros after its last element. */
  rows: number;
  firstRow: number;
}

export interface Slab {
  name: string;
  parts: readonly SlabPart[];
  /** [rows, 32] */
  shape: readonly [number, number];
}

/**
 * One slab for the matrices of each decoder block, one for the matrices outside blocks, and one for all vectors that are updated alike.
 * @param shapes of the tensors, by name; those of a block contain `{blocks}.{i}.`
 */
export function slabsOf(shapes: Iterable<readonly [string, readonly number[]]>, blocks: string): Slab[] {
  const grouped = new Map<string, [string, readonly number[]][]>();
  for (const [name, shape] of shapes) {
    const group = shape.length > 1 ? blockOf(name, blocks) : decays(shape, name) ? DECAYING_VECTORS : VECTORS;
    grouped.set(group, [...(grouped.get(group) ?? []), [name, shape]]);
  }
  return [...grouped].map(([name, members]) => {
    let end = 0;
    const parts = members.map(([name, shape]): SlabPart => {
      const size = shapeSize(shape);
      const [firstRow, rows] = [end, Math.ceil(size / COLUMNS)];
      end += rows;
      return { name, shape, size, rows, firstRow };
    });
    return { name, parts, shape: [end, COLUMNS] };
  });
}

function blockOf(name: string, blocks: string): string {
  const from = name.indexOf(`${blocks}.`);
  if (from === -1) return 'outside';
  return name
    .slice(from)
    .split('.', blocks.split('.').length + 1)
    .join('.');
}

/** Neighbouring elements of a tensor, which is read a piece at a time, because it may be larger than any array of JavaScript. */
export interface Piece {
  /** Takes the elements, row-major. */
  held: HeldFloats;
  /** Index of the first of them, a multiple of `PIECE_ELEMENTS`. */
  first: number;
}

/** Elements that are read, converted and handed to TensorFlow at once. They stay in the processor's cache. */
export const PIECE_ELEMENTS = 1 << 20;

/** Writes a piece of a tensor into the array that takes it. The pieces of a tensor are asked for in their order. */
export type Fill = (name: string, piece: Piece) => void;

/** @returns a function that reads a tensor into an array of its own */
export const reader =
  (shapes: ReadonlyMap<string, readonly number[]>, fill: Fill) =>
  (name: string): Float32Array => {
    const values = new Float32Array(shapeSize(shapes.get(name)!));
    for (let first = 0; first < values.length; first += PIECE_ELEMENTS) fill(name, { held: values.subarray(first, first + PIECE_ELEMENTS), first });
    return values;
  };

/** @param read a tensor's values, called once for each. @returns what fills slabs with them */
export function filledFrom(read: (name: string) => HeldFloats): Fill {
  let last: { name: string; values: HeldFloats } | undefined;
  return (name, { held, first }) => {
    if (last?.name !== name) last = { name, values: read(name) };
    held.set(last.values.subarray(first, first + held.length));
  };
}

/** Neighbouring rows of a slab. */
export interface SlabRows {
  firstRow: number;
  /** Row-major. The next rows overwrite it. */
  values: HeldFloats;
}

/**
 * A slab's content, from its first row to its last.
 * @param Content the class of the arrays
 * @param most    elements at once, a multiple of 32
 */
export function* contentOf({ parts, shape: [rows] }: Slab, fill: Fill, Content: HeldClass, most = PIECE_ELEMENTS): Generator<SlabRows> {
  const buffer = new Content(Math.min(rows * COLUMNS, most));
  let [firstRow, used] = [0, 0];
  const taken = (): SlabRows => {
    const filled = { firstRow, values: buffer.subarray(0, used) };
    firstRow += used / COLUMNS;
    used = 0;
    return filled;
  };
  for (const { name, size, rows: ofPart } of parts) {
    if (used + ofPart * COLUMNS > buffer.length && used > 0) yield taken();
    for (let first = 0; first < size; first += most) {
      if (first > 0) yield taken();
      const held = buffer.subarray(used, used + Math.min(most, size - first));
      fill(name, { held, first });
      const end = COLUMNS * Math.ceil((used + held.length) / COLUMNS);
      buffer.fill(0, used + held.length, end);
      used = end;
    }
  }
  if (used > 0) yield taken();
}

/** @returns each part's values, as views of the content */
export function partsOf({ parts }: Slab, content: Float32Array): Map<string, Float32Array> {
  return new Map(parts.map(({ name, firstRow, size }) => [name, content.subarray(firstRow * COLUMNS, firstRow * COLUMNS + size)]));
}

/** @returns the tensors of a slab, by name */
export function split(slab: Tensor2D, { parts }: Slab): Map<string, Tensor> {
  const rows = tf.split(
    slab,
    parts.map((part) => part.rows),
    0,
  );
  return new Map(
    parts.map(({ name, shape, size }, index) => {
      const flat: Tensor1D = tf.reshape(rows[index]!, [-1]);
      return [name, tf.reshape(flat.size === size ? flat : tf.slice(flat, [0], [size]), [...shape])];
    }),
  );
}

/** @returns [rows, 32] */
export function join({ parts }: Slab, read: (name: string) => Tensor): Tensor2D {
  const rows = parts.map(({ name, size, rows }): Tensor2D => {
    const flat: Tensor1D = tf.reshape(read(name), [size]);
    const padding = rows * COLUMNS - size;
    return tf.reshape(padding === 0 ? flat : tf.concat([flat, tf.zeros([padding])]), [rows, COLUMNS]);
  });
  return tf.concat(rows, 0);
}
