/** Values of the parts of many slabs, each slab fetched when one of its parts is asked for: a large model is written without a copy of it in memory. */
import { remembering } from '../../io/remembering.ts';
import type { Slab } from '../slab.ts';

/** A block's matrices and vectors, of two kinds each: tensors are written in the order of their names, so block by block. */
const SLABS_KEPT = 4;

/**
 * @param slabs their numbers are their indices. @param fetch the values of a slab's parts, by name
 * @returns what gives the value of a part, as a view of its slab's: it is to be used before others are asked for
 */
export function slabWindow<T>(slabs: readonly Slab[], fetch: (slab: number) => ReadonlyMap<string, T>): (name: string) => T {
  const slabOf = new Map(slabs.flatMap(({ parts }, number) => parts.map(({ name }) => [name, number] as const)));
  const valuesOf = remembering(SLABS_KEPT, fetch);
  return (name) => valuesOf(slabOf.get(name)!).get(name)!;
}
