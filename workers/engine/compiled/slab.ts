/** Joins many tensors into one, so that a graph holds, updates and returns a few large tensors instead of hundreds of small ones. */
import type { HeldFloats } from '../io/float-formats.ts';
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

/** Vectors are held in f32 whatever the precision. */
export const holdsVectors = ({ parts }: Slab): boolean => parts.every(({ shape }) => shape.length === 1);

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
      const size = shape.reduce((product, length) => product * length, 1);
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

/** Writes a tensor's values, row-major, into the array that holds them. */
export type Fill = (name: string, held: HeldFloats) => void;

/** @returns a function that reads a tensor into an array of its own */
export const reader =
  (shapes: ReadonlyMap<string, readonly number[]>, fill: Fill) =>
  (name: string): Float32Array => {
    const values = new Float32Array(shapes.get(name)!.reduce((product, length) => product * length, 1));
    fill(name, values);
    return values;
  };

/** @returns a slab's content, row-major, as an array of the class `Content` */
export function contentOf<T extends HeldFloats>({ parts, shape: [rows] }: Slab, fill: Fill, Content: new (length: number) => T): T {
  const content = new Content(rows * COLUMNS);
  for (const { name, firstRow, size } of parts) fill(name, content.subarray(firstRow * COLUMNS, firstRow * COLUMNS + size));
  return content;
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
