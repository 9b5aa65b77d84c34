/** The change that full fine-tuning makes, by kind of layer: means over layers and seeds. */
import { type EnergyShare, SHOWN_SINGULAR_VALUES, type WeightChange } from '../../src/formats/analysis.ts';
import { energyShares, ofMatrix } from '../../workers/engine/analysis/singular-values.ts';
import { normal } from '../../workers/engine/tuning/random.ts';
import { mean } from './numbers.ts';
import type { MeasuredRow } from './runs.ts';

export interface KindOfChange {
  kind: string;
  shape: readonly number[];
  relativeNorm: number;
  /** σᵢ / ‖ΔW‖ */
  values: number[];
  energy: EnergyShare[];
  /** The same of a random matrix of this shape. */
  energyByChance: EnergyShare[];
}

type Matrix = WeightChange & { spectrum: NonNullable<WeightChange['spectrum']> };

/** Matrices of the blocks alone: the embedding changes only where a token occurs. */
export function kindsOfChange({ runs }: Pick<MeasuredRow, 'runs'>): KindOfChange[] {
  const all = runs.flatMap(({ change }) => change?.weights ?? []).filter((one): one is Matrix => one.spectrum !== null && one.layer !== null);
  return [...new Set(all.map(({ kind }) => kind))].map((kind) => {
    const alike = all.filter((one) => one.kind === kind);
    const { shape, spectrum } = alike[0]!;
    const count = Math.min(SHOWN_SINGULAR_VALUES, spectrum.singular_values.length);
    const [rows, columns] = shape as [number, number];
    return {
      kind,
      shape,
      relativeNorm: mean(alike.map((one) => one.relative_norm ?? 0)),
      values: Array.from({ length: count }, (_, i) => mean(alike.map((one) => one.spectrum.singular_values[i]! / one.norm))),
      energy: spectrum.energy.map(({ r }, i) => ({ r, share: mean(alike.map((one) => one.spectrum.energy[i]!.share)) })),
      energyByChance: energyShares(ofMatrix(normal(rows * columns, { seed: 1, name: kind }), [rows, columns], kind), shape),
    };
  });
}

export const shareAt = (energy: readonly EnergyShare[], rank: number): number | null => energy.find(({ r }) => r === rank)?.share ?? null;
