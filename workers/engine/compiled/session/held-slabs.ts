/** Reads and sets the slabs that a session holds. */
import { tf } from '../../tensorflow/tensorflow.ts';
import type { Output } from '../recording/graph.ts';
import { contentOf, type Fill, partsOf, type Slab } from '../slab.ts';
import { type GraphSession, uploaded } from './session.ts';
import { asGiven, givenClass, type SessionVariable } from './session-variable.ts';

/** Tensors that one variable of the session holds together. */
export interface HeldSlab {
  slab: Slab;
  variable: SessionVariable;
}

/** A slab, and the function that fills it. */
export interface FilledSlab extends HeldSlab {
  fill: Fill;
}

/** @param alsoFetched in the same run */
export function assignSlabs(session: GraphSession, slabs: readonly FilledSlab[], alsoFetched: readonly Output[] = []): void {
  tf.tidy(() => {
    const feeds = slabs.map(({ slab, variable, fill }) => {
      const content = contentOf(slab, fill, givenClass(variable));
      return [`${variable.name}/given`, uploaded(asGiven(variable, content))];
    });
    session.run(Object.fromEntries(feeds), [...slabs.map(({ variable }) => variable.assigned), ...alsoFetched]);
  });
}

/** @returns the values of the slabs' parts, by name */
export function valuesOf(session: GraphSession, held: readonly HeldSlab[]): Map<string, Float32Array> {
  if (held.length === 0) return new Map();
  const [values] = fetchSlabs(
    session,
    held.map(({ slab, variable }) => [slab, [variable]]),
  );
  return values!;
}

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
