/** LoRA on an adapter that counts as merged into the base: what `tuning.merge_first` becomes once that adapter is known. */
import { Refusal } from '../refusal.ts';
import { hasEqualTargets, isPlain } from './continuation.ts';
import { MAX_RANK, type MergedLora, type ResolvedLora } from './lora-fields.ts';
import type { ResolvedTuning } from './tuning.ts';

export const mergesFirst = (tuning: ResolvedTuning): tuning is ResolvedLora => tuning.type === 'lora' && tuning.merge_first !== undefined;

const PARAM = 'tuning.merge_first';

/** A run that merges first, but starts from no adapter. */
export const nothingToMerge = (): Refusal =>
  new Refusal('invalid_value', 'merge_first needs an adapter to start from', {
    param: PARAM,
    hint: 'Name a tuned model or checkpoint that is an adapter as the model, or an uploaded adapter in start_from; or leave merge_first out.',
  });

/**
 * @param its of the adapter that the run starts from
 * @returns the tuning, which says what is merged
 * @throws Refusal if the two cannot be delivered as one LoRA
 */
export function mergingFirst(wanted: ResolvedLora, its: ResolvedTuning): ResolvedLora {
  if (its.type !== 'lora' || !isPlain(its) || !isPlain(wanted) || !hasEqualTargets(its, wanted))
    throw new Refusal(
      'tuning_mismatch',
      'merge_first delivers both adapters as one LoRA, so they need the same layers and one rank and scaling each',
      {
        param: PARAM,
        hint: `The adapter to start from has ${JSON.stringify(its)}.`,
      },
    );
  const { r, lora_alpha, use_rslora } = its;
  const said = wanted.merge_first;
  if (typeof said === 'object' && (said.r !== r || said.lora_alpha !== lora_alpha || said.use_rslora !== use_rslora))
    throw new Refusal('tuning_mismatch', `merge_first is ${JSON.stringify(said)}, and the adapter to start from has another rank or scaling`, {
      param: PARAM,
      hint: `Use true, or ${JSON.stringify({ r, lora_alpha, use_rslora })}.`,
    });
  if (wanted.r + r > MAX_RANK)
    throw new Refusal('invalid_value', `merge_first delivers an adapter of the rank ${wanted.r} + ${r}; the largest is ${MAX_RANK}`, {
      param: 'tuning.r',
      hint: 'Choose a smaller one.',
    });
  return { ...wanted, merge_first: { r, lora_alpha, use_rslora } };
}

/** @returns what is merged. @throws Refusal if that is not known */
export function mergedOf({ merge_first: merged }: ResolvedLora): MergedLora | null {
  if (merged === undefined) return null;
  if (typeof merged === 'boolean') throw nothingToMerge();
  return merged;
}
