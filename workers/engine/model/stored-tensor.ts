import type { TensorEntry } from '../../../src/formats/safetensors.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { HeldFloats } from '../io/float-formats.ts';
import type { WeightFile } from '../io/mxfp4.ts';

/** A tensor in a file. */
export interface StoredTensor extends WeightFile {
  /** Its name in the file. */
  name: string;
}

/** A weight in files: a tensor, or several whose elements follow each other. */
export type StoredWeight = readonly StoredTensor[];

export const entryOf = ({ file, name }: StoredTensor): TensorEntry => file.header.tensors.get(name)!;

/**
 * @param first index of the first element to read; by default, the whole weight is read
 * @returns whether all values are finite
 */
export function readWeightInto(parts: StoredWeight, held: HeldFloats, first?: number): boolean {
  if (parts.length === 1) return parts[0]!.file.readInto(parts[0]!.name, held, first) === -1;
  const [begin, end] = [first ?? 0, (first ?? 0) + held.length];
  let [offset, finite] = [0, true];
  for (const part of parts) {
    const size = shapeSize(entryOf(part).shape);
    const [from, to] = [Math.max(begin, offset), Math.min(end, offset + size)];
    if (from < to) finite = part.file.readInto(part.name, held.subarray(from - begin, to - begin), from - offset) === -1 && finite;
    offset += size;
  }
  return finite;
}

/** Elements compared at once. */
const COMPARED_ELEMENTS = 1 << 16;

/** @returns whether both have the same shape and, as f32, the same values; NaN differs from everything. Stops reading at the first difference */
export function sameValues(one: StoredTensor, other: StoredTensor): boolean {
  const [a, b] = [entryOf(one).shape, entryOf(other).shape];
  if (a.join() !== b.join()) return false;
  const size = shapeSize(a);
  for (let first = 0; first < size; first += COMPARED_ELEMENTS) {
    const [x, y] = [one, other].map(({ file, name }) => {
      const held = new Float32Array(Math.min(COMPARED_ELEMENTS, size - first));
      file.readInto(name, held, first);
      return held;
    }) as [Float32Array, Float32Array];
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  }
  return true;
}
