import { tf } from '../../tensorflow/tensorflow.ts';
import { partsOf, type Slab } from '../slab.ts';
import type { GraphSession } from './session.ts';
import type { SessionVariable } from './session-variable.ts';

/**
 * @param slabs each with variables of its shape
 * @returns a map for each of a slab's variables, from tensor names to values
 */
export function fetchSlabs(session: GraphSession, slabs: readonly (readonly [Slab, readonly SessionVariable[]])[]): Map<string, Float32Array>[] {
  const tensors = session.run(
    {},
    slabs.flatMap(([, variables]) => variables.map(({ value }) => value)),
  );
  const contents = tensors.map((tensor) => tensor.dataSync<'float32'>());
  tf.dispose(tensors);
  const perSlab = slabs[0]?.[1].length ?? 0;
  return Array.from({ length: perSlab }, (_, kind) => {
    const parts = slabs.flatMap(([slab], index) => [...partsOf(slab, contents[index * perSlab + kind]!)]);
    return new Map(parts);
  });
}
