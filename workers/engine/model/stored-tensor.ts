import type { SafetensorsFile } from '../io/safetensors.ts';

/** A tensor in a file. */
export interface StoredTensor {
  file: SafetensorsFile;
  /** The file's name. */
  where: string;
  /** Its name in the file. */
  name: string;
}

/** Elements compared at once. */
const COMPARED_ELEMENTS = 1 << 16;

/** @returns whether both have the same shape and, as f32, the same values; NaN differs from everything. Stops reading at the first difference */
export function sameValues(one: StoredTensor, other: StoredTensor): boolean {
  const [a, b] = [one, other].map(({ file, name }) => file.header.tensors.get(name)!.shape) as [number[], number[]];
  if (a.join() !== b.join()) return false;
  const size = a.reduce((product, length) => product * length, 1);
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
