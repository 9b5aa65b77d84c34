/** The tuning methods. Only this file looks a method up by its name. */
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { isRecord } from '../../../src/formats/record.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ResolvedTuning, TuningType } from '../../../src/formats/tuning/tuning.ts';
import { ADAPTER_DIRECTORY_HINT } from '../io/adapter.ts';
import { readJson } from '../io/files.ts';
import { bitfit } from './bitfit.ts';
import { full } from './full.ts';
import { ia3 } from './ia3.ts';
import { lora } from './lora.ts';
import type { Method } from './method.ts';
import { prefix } from './prefix.ts';
import { prompt } from './prompt.ts';
import type { TunedModel } from './tuned-model.ts';
import { vera } from './vera.ts';

const METHODS: { readonly [T in TuningType]: Method<Extract<ResolvedTuning, { type: T }>> } = { lora, full, bitfit, ia3, vera, prompt, prefix };

/** @returns the method of a job's tuning; its functions take that tuning */
export const methodOf = (tuning: ResolvedTuning): Method<ResolvedTuning> => METHODS[tuning.type] as unknown as Method<ResolvedTuning>;

/**
 * @returns the tuning that the adapter in a directory declares
 * @throws Refusal `unsupported_adapter` for an unknown method, or any refusal by the method
 */
export function readAdapterTuning(dir: string): ResolvedTuning {
  const path = join(dir, ADAPTER_CONFIG_FILE);
  const json = readJson(path, ADAPTER_DIRECTORY_HINT);
  const peftType = isRecord(json) ? json['peft_type'] : undefined;
  const adapters = Object.values(METHODS).filter(({ adapter }) => adapter !== null);
  const method = adapters.find((one) => one.peftType === peftType);
  if (method?.adapter) return method.adapter.readTuning(dir);
  throw new Refusal('unsupported_adapter', `${path}: peft_type is ${JSON.stringify(peftType) ?? 'missing'}`, {
    param: 'model',
    hint: `Supported adapter types: ${adapters.map((one) => one.peftType).join(', ')}.`,
  });
}

/** Loads an adapter into a model. @returns the model. @throws Refusal if loading fails, after disposing of the model */
export function withAdapter<M extends TunedModel>(model: M, tuning: ResolvedTuning, dir: string): M {
  try {
    methodOf(tuning).adapter!.load(model, dir);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
