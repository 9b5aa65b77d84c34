/** Continues an adapter that an earlier run delivered, or that PEFT wrote: its values, with a fresh optimizer and schedule. */
import { isDeepStrictEqual } from 'node:util';
import { Refusal } from '../../src/formats/refusal.ts';
import { continuation } from '../../src/formats/tuning/continuation.ts';
import type { ResolvedLora } from '../../src/formats/tuning/lora-fields.ts';
import { loraLayers } from '../../src/formats/tuning/lora-layers.ts';
import { isDecomposed } from '../../src/formats/tuning/lora-refusals.ts';
import { mergesFirst, mergingFirst } from '../../src/formats/tuning/merge-first.ts';
import { type ResolvedTuning, resolveTuning } from '../../src/formats/tuning/tuning.ts';
import type { TrainOptions } from './contract.ts';
import { loadLarger } from './tuning/larger-rank.ts';
import { loadMerged } from './tuning/merged-adapter.ts';
import { methodOf, readAdapterTuning } from './tuning/methods.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

/** The tuning of a run. What counts as merged is read from the adapter that it starts from, unless the caller knows it. */
export function tuningOf({ tuning: asked, startFrom }: Pick<TrainOptions, 'tuning' | 'startFrom'>): ResolvedTuning {
  const tuning = resolveTuning(asked);
  if (!mergesFirst(tuning) || startFrom === undefined) return tuning;
  const its = readAdapterTuning(startFrom);
  return mergingFirst(tuning, its.type === 'lora' ? { ...its, target_modules: tuning.target_modules } : its);
}

/**
 * Sets the trained parameters to those of an adapter directory.
 * @throws Refusal `adapter_mismatch` for a tuning under which the same values would be another model; those of loading
 */
export function startFromAdapter(model: TunedModel, { dir, tuning }: { dir: string; tuning: ResolvedTuning }): void {
  const { adapter } = methodOf(tuning);
  if (adapter === null)
    throw new Refusal('adapter_mismatch', `tuning.type "${tuning.type}" trains no adapter, so it cannot start from one`, {
      param: 'tuning.type',
      hint: 'Merge the adapter into its base model and train that, or continue the adapter with its own tuning.',
    });
  const written = readAdapterTuning(dir);
  if (tuning.type !== 'lora' || written.type !== 'lora') {
    if (written.type !== tuning.type) throw mismatch('is of another kind than the run trains', written);
    adapter.load(model, dir); // which compares names and shapes
    return;
  }
  if (isDecomposed(tuning) || tuning.init_lora_weights === false)
    throw new Refusal(
      'adapter_mismatch',
      `init_lora_weights ${JSON.stringify(tuning.init_lora_weights)} begins a new adapter, so it cannot continue one`,
      {
        param: 'tuning.init_lora_weights',
        hint: 'Leave it out.',
      },
    );
  if (tuning.merge_first !== undefined) {
    mergingFirst(tuning, { ...written, target_modules: tuning.target_modules }); // refuses what cannot be one LoRA
    loadMerged(model, dir);
    return;
  }
  const layersOf = (lora: ResolvedLora) => loraLayers(model.config, lora);
  const scalingOf = (lora: ResolvedLora): number => [...layersOf(lora).values()][0]!.scaling;
  // A directory names the layers, where a run may say `all-linear`: that they are the same shows in the names of the tensors.
  if (continuation({ ...written, target_modules: tuning.target_modules }, tuning) === 'larger') {
    loadLarger(model, dir, { ratio: scalingOf(written) / scalingOf(tuning) });
    return;
  }
  if (!isDeepStrictEqual(layersOf(written), layersOf(tuning))) throw mismatch('has other layers, ranks or scaling than the run', written);
  adapter.load(model, dir);
}

const mismatch = (what: string, written: ResolvedTuning): Refusal =>
  new Refusal('adapter_mismatch', `the adapter to start from ${what}`, { param: 'tuning', hint: `It has ${JSON.stringify(written)}.` });
