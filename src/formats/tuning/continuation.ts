/** Which tuning may continue an adapter that another one made. */
import { jsonText } from '../json-text.ts';
import { toJsonValue } from '../json-value.ts';
import type { ResolvedLora } from './lora-fields.ts';
import type { ResolvedTuning } from './tuning.ts';

/**
 * How an adapter is continued. `same`: its values as they are. `larger`: as part of a larger adapter, whose further rows and columns are those of a new one,
 * with B scaled so that the model is the same. null: not at all.
 */
export function continuation(its: ResolvedTuning, wanted: ResolvedTuning): 'same' | 'larger' | null {
  if (isEqual(untrained(its), untrained(wanted))) return 'same';
  if (its.type !== 'lora' || wanted.type !== 'lora' || wanted.r < its.r || !isPlain(its) || !isPlain(wanted)) return null;
  return hasEqualTargets(its, wanted) ? 'larger' : null;
}

export const hasEqualTargets = (a: ResolvedLora, b: ResolvedLora): boolean => isEqual(a.target_modules, b.target_modules);

const isEqual = (a: unknown, b: unknown): boolean => sortedText(a) === sortedText(b);
const sortedText = (value: unknown): string => jsonText(toJsonValue(value), { sorted: true });

/** Dropout matters only while it is trained. */
const untrained = (tuning: ResolvedTuning) => ({ ...tuning, lora_dropout: 0 });

/** Fields that a plain adapter has: one rank and one scaling for all layers, and nothing beside A and B. */
const PLAIN: readonly string[] = [
  'type',
  'r',
  'lora_alpha',
  'lora_dropout',
  'target_modules',
  'use_rslora',
  'init_lora_weights',
  'loraplus_lr_ratio',
  'merge_first',
];

const UNSET: readonly unknown[] = [undefined, null, false, 'none'];

export const isPlain = (tuning: ResolvedLora): boolean =>
  Object.entries(tuning).every(([field, value]) => PLAIN.includes(field) || UNSET.includes(value));
