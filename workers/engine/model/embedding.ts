import { differentiable } from '../tensorflow/differentiable.ts';
import { gatherRows } from '../tensorflow/native.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';

interface LookUp {
  /** Whether to compute the table's gradient. */
  trained: boolean;
  /** An id whose row gets no gradient: PyTorch's `padding_idx`. */
  paddingId?: number | null;
}

/**
 * Rows of a table. The gradient is a segment sum in one kernel; tfjs's own goes through a transpose and is slow on large vocabularies.
 * @param table [vocab, hidden]
 * @param ids   [tokens] int32
 * @returns     [tokens, hidden]
 */
export function lookUp(table: Tensor2D, ids: Tensor1D, { trained, paddingId = null }: LookUp): Tensor2D {
  if (!trained) return gatherRows(table, ids);
  const rows = table.shape[0];
  return differentiable<Tensor2D>([table], () => ({
    value: gatherRows(table, ids),
    saved: [ids],
    gradient(dy, [ids]) {
      const ignored = -1; // the sum skips negative ids
      const places = paddingId === null ? ids! : tf.where(tf.equal(ids!, paddingId), tf.scalar(ignored, 'int32'), ids!);
      return [tf.unsortedSegmentSum(dy, places as Tensor1D, rows)];
    },
  }));
}
