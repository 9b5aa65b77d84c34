/** Virtual tokens, which prompt and prefix tuning put before each text. Their ids follow the vocabulary's, so that the decoder knows them. */
import type { Example } from './batch.ts';
import { joinTeachers } from './teacher.ts';

export interface VirtualTokens {
  count: number;
  /** The id of the first; the others follow. It is the size of the vocabulary. */
  firstId: number;
}

/** @returns the ids with virtual tokens before them */
export function withVirtualIds(ids: Int32Array, { count, firstId }: VirtualTokens): Int32Array {
  const all = new Int32Array(count + ids.length);
  for (let index = 0; index < count; index++) all[index] = firstId + index;
  all.set(ids, count);
  return all;
}

/** @param sequence a text; nothing is learned of the virtual tokens, but they may predict the first real one */
export function withVirtualTokens(sequence: Example, virtual: VirtualTokens): Example {
  const lossWeights = new Float32Array(virtual.count + sequence.lossWeights.length);
  lossWeights.set(sequence.lossWeights, virtual.count);
  const teacher = sequence.teacher && joinTeachers([{ teacher: sequence.teacher, offset: virtual.count }]);
  return { ...sequence, inputIds: withVirtualIds(sequence.inputIds, virtual), lossWeights, ...(teacher && { teacher }) };
}
