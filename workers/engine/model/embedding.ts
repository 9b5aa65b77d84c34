import { differentiable } from '../differentiable.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow.ts';

/**
 * Rows of a table. The gradient adds each looked-up row's to its place in one kernel; the tape's own goes through a transpose and is slow on large vocabularies.
 * @param table   [vocab, hidden]
 * @param ids     [tokens] int32
 * @param trained whether the table's gradient is wanted
 * @returns       [tokens, hidden]
 */
export function lookUp(table: Tensor2D, ids: Tensor1D, trained: boolean): Tensor2D {
  if (!trained) return tf.gather(table, ids);
  const rows = table.shape[0];
  return differentiable<Tensor2D>([table], () => ({
    value: tf.gather(table, ids),
    saved: [ids],
    gradient: (dy, [ids]) => [tf.unsortedSegmentSum(dy, ids as Tensor1D, rows)],
  }));
}
