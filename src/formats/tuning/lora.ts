import type { ModelConfig } from '../model-config.ts';
import { weightShapes } from '../module-shapes.ts';
import type { TuningFormat } from './format.ts';
import { ALL_LINEAR, LoraTuning, type ResolvedLora, said } from './lora-fields.ts';
import { fullRank, type LoraLayer, rankRule } from './lora-layers.ts';
import { checkFields, checkLora, isDecomposed } from './lora-refusals.ts';
import { trainedWeights } from './lora-weights.ts';
import { mergedOf } from './merge-first.ts';

export const loraFormat: TuningFormat<LoraTuning, ResolvedLora> = {
  type: 'lora',
  schema: LoraTuning,
  resolve({ type, r = 16, lora_alpha = 2 * r, lora_dropout = 0, target_modules = ALL_LINEAR, use_rslora = false, ...others }) {
    return { type, r, lora_alpha, lora_dropout, target_modules, use_rslora, ...said(others) };
  },
  // About ten times full fine-tuning's (Thinking Machines 2025).
  baseLearningRate: 2e-4,
  trainedShapes: loraShapes,
  constantShapes: beginShapes,
  keptElements,
  check: checkFields,
  continued: deliveredLora,
  delivered: 'adapter',
  exports: ['alone', 'merged'],
};

/** Whether all that is trained is added to the base as a product. */
export function isAdded(tuning: Partial<ResolvedLora>): boolean {
  const { use_dora: dora = false, bias = 'none', modules_to_save: saved, merge_first: merged } = tuning;
  return !dora && !isDecomposed(tuning) && merged === undefined && bias === 'none' && saved === undefined;
}

/** PEFT's names of what an adapted layer has in `adapter_model.safetensors`. */
export const peftName = (module: string, matrix: 'A' | 'B', kind: LoraLayer['kind'] = 'linear'): string =>
  `base_model.model.${module}.${kind === 'embedding' ? `lora_embedding_${matrix}` : `lora_${matrix}.weight`}`;
export const magnitudeName = (module: string): string => `base_model.model.${module}.lora_magnitude_vector`;

/**
 * A [r, in] and B [out, r] of every adapted layer, for experts all of theirs, with DoRA its magnitudes [out], under PEFT's names; then the weights of the base that are trained too,
 * under their own.
 * @throws Refusal for a tuning that does not fit the model
 */
function loraShapes(config: ModelConfig, tuning: ResolvedLora): Map<string, number[]> {
  const layers = checkLora(config, tuning);
  const shapes = new Map<string, number[]>();
  for (const [module, layer] of layers) {
    const { kind, out, in: input } = layer;
    shapes.set(peftName(module, 'A', kind), [fullRank(layer), input]).set(peftName(module, 'B', kind), [out, fullRank(layer)]);
    if (tuning.use_dora === true) shapes.set(magnitudeName(module), [out]);
  }
  const base = weightShapes(config);
  for (const name of trainedWeights(config, tuning).keys()) shapes.set(name, base.get(name)!);
  return shapes;
}

/** The rank of both, and the scaling of what was trained. */
function withMerged(trained: ResolvedLora): ResolvedLora {
  const { merge_first: _, init_lora_weights: __, ...tuning } = trained;
  const r = tuning.r + (mergedOf(trained)?.r ?? 0);
  const growth = r / tuning.r;
  return { ...tuning, r, lora_alpha: tuning.lora_alpha * (tuning.use_rslora ? Math.sqrt(growth) : growth) };
}

/** Name of what an update begins with, which is in no file. */
export const beginName = (module: string, matrix: 'A' | 'B'): string => `base_model.model.${module}.lora_begin_${matrix}.weight`;

/** Frozen matrices A₀ and B₀ beside a layer's own: the update is s·(B·A + factor·B₀·A₀). */
interface Begin {
  /** Rank of A₀ and B₀. */
  r: number;
  factor: number;
}

/** @returns what is frozen beside a layer of a rank and scaling; null if nothing is. @throws Refusal if that is not known yet */
export function beginOf(tuning: ResolvedLora, { r, scaling }: Pick<LoraLayer, 'r' | 'scaling'>): Begin | null {
  if (isDecomposed(tuning)) return { r, factor: -1 }; // parts of the base, from which the update is measured
  const merged = mergedOf(tuning);
  return merged && { r: merged.r, factor: rankRule(merged, null)('').scaling / scaling };
}

/** Shapes of what is frozen beside the layers' own matrices. */
function beginShapes(config: ModelConfig, tuning: ResolvedLora): Map<string, number[]> {
  const layers = [...checkLora(config, tuning)];
  return new Map(
    layers.flatMap(([module, layer]): [string, number[]][] => {
      const begin = beginOf(tuning, layer);
      if (begin === null) return [];
      return [
        [beginName(module, 'A'), [begin.r, layer.in]],
        [beginName(module, 'B'), [layer.out, begin.r]],
      ];
    }),
  );
}

/** What the first products give; with DoRA also the sums that its gains are multiplied with. A head is changed before the pass. */
function keptElements(config: ModelConfig, tuning: ResolvedLora): number {
  const layers = [...checkLora(config, tuning).values()].filter(({ kind }) => kind !== 'head');
  return layers.reduce(
    (sum, layer) => sum + layer.r * (layer.experts?.perToken ?? 1) + (beginOf(tuning, layer)?.r ?? 0) + (tuning.use_dora === true ? layer.out : 0),
    0,
  );
}

/**
 * The tuning of what is delivered. What was begun with parts of the base, A₀ and B₀, is delivered as [A; A₀] and [B, −B₀], which fits the base as it is:
 * PEFT's conversion, with twice the rank and the same scaling. What was trained on a merged adapter is delivered with it, in the same way.
 */
export function deliveredLora(tuning: ResolvedLora): ResolvedLora {
  if (tuning.merge_first !== undefined) return withMerged(tuning);
  if (!isDecomposed(tuning)) return tuning;
  const { init_lora_weights: _, rank_pattern: ranks, alpha_pattern: alphas, ...rest } = tuning;
  const alphaFactor = tuning.use_rslora ? Math.SQRT2 : 2;
  const times = (factor: number, values: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(values).map(([pattern, value]) => [pattern, value * factor]));
  return {
    ...rest,
    r: 2 * tuning.r,
    lora_alpha: alphaFactor * tuning.lora_alpha,
    ...(ranks && { rank_pattern: times(2, ranks) }),
    ...(alphas && { alpha_pattern: times(alphaFactor, alphas) }),
  };
}
