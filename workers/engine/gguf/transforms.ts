/** Orders of a matrix's elements that llama.cpp stores differently from the checkpoint. */

/** An order of a matrix's rows, or of a vector's elements; null leaves them. */
export type RowOrder = ((rows: number) => (row: number) => number) | null;

/** From the checkpoint's order to the file's. @param rows their number */
export function reorder(values: Float32Array, rows: number, order: RowOrder): Float32Array {
  if (order === null) return values;
  const [source, width] = [order(rows), values.length / rows];
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const from = source(row) * width;
    result.set(values.subarray(from, from + width), row * width);
  }
  return result;
}

/** From the file's order to the checkpoint's. @param rows their number */
export function restore(values: Float32Array, rows: number, order: RowOrder): Float32Array {
  if (order === null) return values;
  const [target, width] = [order(rows), values.length / rows];
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) result.set(values.subarray(row * width, (row + 1) * width), target(row) * width);
  return result;
}

/**
 * transformers rotates element i of a head together with i + headSize / 2; llama.cpp, in this order, with the next one.
 * @param heads of the matrix
 */
export const interleaved =
  (heads: number): RowOrder =>
  (rows) => {
    const size = rows / heads;
    return (row) => {
      const [head, at] = [Math.floor(row / size), row % size];
      return head * size + (at % 2) * (size / 2) + Math.floor(at / 2);
    };
  };

/** From the query, key and value of each head in turn to all queries, then all keys, then all values. */
export const inHeadParts =
  (heads: number): RowOrder =>
  (rows) => {
    const size = rows / heads / 3;
    return (row) => {
      const [part, head, at] = [Math.floor(row / (heads * size)), Math.floor(row / size) % heads, row % size];
      return (head * 3 + part) * size + at;
    };
  };

/** @param shape [rows, columns] of the values */
export function transposed(values: Float32Array, shape: readonly number[]): Float32Array {
  const [rows, columns] = shape as [number, number];
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) result[column * rows + row] = values[row * columns + column]!;
  return result;
}

/** Gemma's norms are stored minus one, but not in GGUF. */
export const plusOne = (values: Float32Array): Float32Array => values.map((value) => value + 1);
export const minusOne = (values: Float32Array): Float32Array => values.map((value) => value - 1);
