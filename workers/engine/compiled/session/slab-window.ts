/** Values of the parts of many slabs, each slab fetched when one of its parts is asked for: a large model is written without a copy of it in memory. */
import type { Slab } from '../slab.ts';

/** A block's matrices and vectors, of two kinds each: tensors are written in the order of their names, so block by block. */
const SLABS_KEPT = 4;

export class SlabWindow<T> {
  readonly #slabOf: ReadonlyMap<string, number>;
  readonly #fetch: (slab: number) => ReadonlyMap<string, T>;
  /** The last slabs that were asked for, oldest first. */
  readonly #kept = new Map<number, ReadonlyMap<string, T>>();

  /** @param fetch the values of a slab's parts, by name. @param slabs their numbers are their indices */
  constructor(slabs: readonly Slab[], fetch: (slab: number) => ReadonlyMap<string, T>) {
    this.#slabOf = new Map(slabs.flatMap(({ parts }, number) => parts.map(({ name }) => [name, number] as const)));
    this.#fetch = fetch;
  }

  /** @returns the value of a part, as a view of its slab's: it is to be used before others are asked for */
  read(name: string): T {
    const number = this.#slabOf.get(name)!;
    const values = this.#kept.get(number) ?? this.#fetch(number);
    this.#kept.delete(number);
    this.#kept.set(number, values);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > SLABS_KEPT) this.#kept.delete(oldest!);
    return values.get(name)!;
  }
}
