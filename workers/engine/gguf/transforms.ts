/** Orders of a matrix's elements that llama.cpp stores differently from the checkpoint. */

/** Reorders the rows of a matrix, or the elements of a vector; null leaves them. @param rows their number */
export type RowOrder = ((values: Float32Array, rows: number) => Float32Array) | null;

/** @param source of each row in the result, the row of the values that it is */
function reorder(values: Float32Array, rows: number, source: (row: number) => number): Float32Array {
  const width = values.length / rows;
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const from = source(row) * width;
    result.set(values.subarray(from, from + width), row * width);
  }
  return result;
}

/**
 * transformers rotates element i of a head together with i + headSize / 2; llama.cpp, in this order, with the next one.
 * @param heads of the matrix
 */
export const interleaved =
  (heads: number): RowOrder =>
  (values, rows) => {
    const size = rows / heads;
    return reorder(values, rows, (row) => {
      const [head, at] = [Math.floor(row / size), row % size];
      return head * size + (at % 2) * (size / 2) + Math.floor(at / 2);
    });
  };

/** From the query, key and value of each head in turn to all queries, then all keys, then all values. */
export const inHeadParts =
  (heads: number): RowOrder =>
  (values, rows) => {
    const size = rows / heads / 3;
    return reorder(values, rows, (row) => {
      const [part, head, at] = [Math.floor(row / (heads * size)), Math.floor(row / size) % heads, row % size];
      return (head * 3 + part) * size + at;
    });
  };

/** @param shape [rows, columns] of the values */
export function transposed(values: Float32Array, shape: readonly number[]): Float32Array {
  const [rows, columns] = shape as [number, number];
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) result[column * rows + row] = values[row * columns + column]!;
  return result;
}

/** Gemma's norms are stored minus one. */
export const plusOne = (values: Float32Array): Float32Array => values.map((value) => value + 1);
