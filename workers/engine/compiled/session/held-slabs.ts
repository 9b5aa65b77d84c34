/** Reads and sets the slabs that a session holds. */
import type { HeldFloats } from '../../io/float-formats.ts';
import { backend } from '../../tensorflow/backend.ts';
import { tf } from '../../tensorflow/tensorflow.ts';
import { contentOf, type Fill, partsOf, type Slab } from '../slab.ts';
import type { GraphSession } from './session.ts';
import { asGiven, heldClass, type SessionVariable } from './session-variable.ts';

/** Tensors that one variable of the session holds together. */
export interface HeldSlab {
  slab: Slab;
  variable: SessionVariable;
}

/** A slab, and the function that fills it. */
export interface FilledSlab extends HeldSlab {
  fill: Fill;
}

/** @param values row-major, in the variable's `heldClass`; of an int32 variable, its elements */
export function setVariable(session: GraphSession, variable: SessionVariable, values: HeldFloats | Int32Array): void {
  if (backend.isUsingGpuDevice)
    tf.tidy(() => {
      session.run({ [`${variable.name}/given`]: asGiven(variable, values) }, [variable.assigned!]);
    });
  else session.write(variable, { firstRow: 0, values });
}

export function assignSlabs(session: GraphSession, slabs: readonly FilledSlab[]): void {
  const assign = backend.isUsingGpuDevice ? assignWhole : assignInPieces;
  tf.tidy(() => assign(session, slabs)); // what fills a slab may compute it
}

function assignInPieces(session: GraphSession, slabs: readonly FilledSlab[]): void {
  for (const { slab, variable, fill } of slabs) for (const rows of contentOf(slab, fill, heldClass(variable))) session.write(variable, rows);
}

/** One slab at a time, so that no two are in main memory. */
function assignWhole(session: GraphSession, slabs: readonly FilledSlab[]): void {
  for (const { slab, variable, fill } of slabs) {
    const content = contentOf(slab, fill, heldClass(variable), Number.POSITIVE_INFINITY);
    for (const { values } of content) setVariable(session, variable, values);
  }
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
