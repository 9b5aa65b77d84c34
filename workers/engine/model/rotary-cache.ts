import type { Rotary } from '../../../src/formats/rotary.ts';
import { type Tensor4D, tf } from '../tensorflow.ts';
import { type RotaryTables, rotaryTables } from './rope.ts';

/** Positions a table holds at first; they double when a longer row comes. */
const FIRST_POSITIONS = 256;

interface Kept {
  tables: RotaryTables;
  positions: number;
  regime: number;
}

/** Tables made once and kept for all passes, for each way of turning that a model's layers have. */
export class RotaryCache {
  readonly #kept = new Map<Rotary, Kept>();

  constructor(rotaries: Iterable<Rotary>) {
    for (const rotary of rotaries) this.#upTo(rotary, 1);
  }

  /** Tables of exactly `length` positions, slices that belong to the pass under way. */
  tables(rotary: Rotary, length: number): RotaryTables {
    const { cos, sin } = this.#upTo(rotary, length);
    const size: [number, number, number, number] = [1, length, 1, rotary.dimensions];
    return { cos: tf.slice(cos, 0, size) as Tensor4D, sin: tf.slice(sin, 0, size) as Tensor4D };
  }

  dispose(): void {
    for (const { tables } of this.#kept.values()) tf.dispose([tables.cos, tables.sin]);
    this.#kept.clear();
  }

  #upTo(rotary: Rotary, length: number): RotaryTables {
    const kept = this.#kept.get(rotary);
    const regime = regimeOf(rotary, length);
    if (kept !== undefined && kept.regime === regime && kept.positions >= length) return kept.tables;
    let positions = kept?.positions ?? FIRST_POSITIONS;
    while (positions < length) positions *= 2;
    const tables = tf.tidy(() => {
      const { cos, sin } = rotaryTables(rotary, { positions, lengthTokens: length });
      return { cos: tf.keep(cos), sin: tf.keep(sin) };
    });
    if (kept !== undefined) tf.dispose([kept.tables.cos, kept.tables.sin]);
    this.#kept.set(rotary, { tables, positions, regime });
    return tables;
  }
}

/** Lengths of one regime have the same frequencies. */
function regimeOf({ scaling }: Rotary, length: number): number {
  if (scaling?.type === 'dynamic') return Math.max(length, scaling.originalMaxPositionTokens);
  if (scaling?.type === 'longrope') return Number(length > scaling.originalMaxPositionTokens);
  return 0;
}
