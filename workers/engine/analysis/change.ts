/** What is told of the change of each weight, and of all weights of a kind together. */
import { type Change, type KindChange, SHOWN_SINGULAR_VALUES, type WeightChange } from '../../../src/formats/analysis.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { yieldToEventLoop } from '../evaluate.ts';
import type { TunedFiles } from '../export/merged-weights.ts';
import { type ChangedWeight, changedWeights } from './changed-weights.ts';
import { energyShares } from './singular-values.ts';

interface Progress {
  /** Called after each weight. */
  working?: (() => void | Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** @returns the change, or why no weights hold it */
export async function changeOf(baseDir: string, tuned: TunedFiles, { working, signal }: Progress): Promise<Change | string> {
  const weights: WeightChange[] = [];
  const kinds = new Map<string, Energies>();
  const all = new Energies();
  try {
    for (const changed of changedWeights(baseDir, tuned)) {
      const shown = weightChange(changed);
      weights.push(shown);
      all.add(changed, shown);
      const ofKind = kinds.get(shown.kind) ?? new Energies();
      kinds.set(shown.kind, ofKind);
      ofKind.add(changed, shown);
      await working?.();
      await yieldToEventLoop();
      signal?.throwIfAborted();
    }
  } catch (error) {
    if (error instanceof Refusal && error.code === 'unsupported_export') return error.message;
    throw error;
  }
  return { ...all.size, kinds: [...kinds].map(([kind, energies]): KindChange => ({ kind, ...energies.ofKind })), weights };
}

/** @returns the last part of the weight's module, with `.bias` for a bias */
export const kindOf = (name: string): string => name.replace(/\.weight$/, '').match(/[^.]+(\.bias)?$/)![0];

/** @returns the number of the block that a weight belongs to */
export function layerOf(name: string): number | null {
  const number = /(?:^|\.)(\d+)\./.exec(name)?.[1];
  return number === undefined ? null : Number(number);
}

function weightChange({ name, shape, energy, baseEnergy, singularValues }: ChangedWeight): WeightChange {
  return {
    name,
    kind: kindOf(name),
    layer: layerOf(name),
    shape: [...shape],
    ...sizeOf(energy, baseEnergy),
    spectrum: singularValues && {
      singular_values: singularValues.S.slice(0, SHOWN_SINGULAR_VALUES),
      energy: energyShares(singularValues, shape),
      error: singularValues.error,
    },
  };
}

const sizeOf = (energy: number, baseEnergy: number) => ({
  norm: Math.sqrt(energy),
  relative_norm: baseEnergy === 0 ? null : Math.sqrt(energy / baseEnergy),
});

/** Sums over weights. */
class Energies {
  #weights = 0;
  #energy = 0;
  #baseEnergy = 0;
  #ofMatrices = 0;
  /** By r, of the first r directions of each matrix that has so many. */
  readonly #first = new Map<number, number>();

  add({ energy, baseEnergy }: ChangedWeight, { spectrum }: WeightChange): void {
    this.#weights += 1;
    this.#energy += energy;
    this.#baseEnergy += baseEnergy;
    if (spectrum === null) return;
    this.#ofMatrices += energy;
    for (const { r, share } of spectrum.energy) this.#first.set(r, (this.#first.get(r) ?? 0) + share * energy);
  }

  get size() {
    return sizeOf(this.#energy, this.#baseEnergy);
  }

  get ofKind(): Omit<KindChange, 'kind'> {
    const energy = [...this.#first].map(([r, first]) => ({ r, share: Math.min(1, first / this.#ofMatrices) }));
    return { weights: this.#weights, ...this.size, energy };
  }
}
