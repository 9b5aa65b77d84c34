/** PEFT adapter directories: `adapter_config.json` and `adapter_model.safetensors`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { ALL_LINEAR, type ResolvedLora, type ResolvedTuning } from '../../../src/formats/tuning.ts';
import type { TensorValues, TunedModel } from '../tuning/tuned-model.ts';
import { adapterConfigJson, parseAdapterConfig } from './adapter-config.ts';
import { readJson, writeFileWhole } from './files.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

/** What of a tuned model an adapter is on disk. Tensors by PEFT's names: A [r, in], B [out, r]. */
interface Adapted {
  readonly config: Pick<ModelConfig, 'inputFirst'>;
  readonly tuning: ResolvedTuning;
  read(): ReadonlyMap<string, TensorValues>;
}

/**
 * Writes the adapter so that PEFT loads it, in f32.
 * @param options.baseModelName PEFT's `base_model_name_or_path`
 * @param options.baseModelRevision PEFT's `revision`
 * @returns the file names written
 */
export function saveAdapter(
  model: Adapted,
  dir: string,
  { baseModelName, baseModelRevision = null }: { baseModelName: string; baseModelRevision?: string | null },
): string[] {
  const { config, tuning } = model;
  if (tuning.type !== 'lora') throw new Error('only a LoRA model has an adapter to save');
  mkdirSync(dir, { recursive: true });
  const tensors = model.read();
  writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), tensors);
  const written = adapterConfigJson(
    { ...tuning, target_modules: shortNames(tuning, tensors.keys()) },
    { name: baseModelName, revision: baseModelRevision, inputFirst: config.inputFirst },
  );
  writeFileWhole(join(dir, ADAPTER_CONFIG_FILE), `${JSON.stringify(written, null, 2)}\n`);
  return [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
}

/** @throws Refusal `unsupported_adapter` for whatever would change the maths, `corrupt_model_file` for what cannot be read */
export function readAdapterConfig(dir: string): ResolvedLora {
  const path = join(dir, ADAPTER_CONFIG_FILE);
  return parseAdapterConfig(readJson(path, 'Is this a PEFT adapter directory?'), path);
}

/**
 * Sets a model's A and B to those of an adapter directory.
 * @throws Refusal `corrupt_model_file` telling every tensor that is missing, misshapen or too many
 */
export function loadAdapter(model: Pick<TunedModel, 'trainable' | 'assign'>, dir: string): void {
  const { trainable } = model;
  const path = join(dir, ADAPTER_WEIGHTS_FILE);
  const file = openSafetensors(path);
  try {
    const problems: string[] = [];
    for (const [name, { shape }] of trainable) {
      const entry = file.header.tensors.get(name);
      if (entry === undefined) problems.push(`tensor ${name} is missing`);
      else if (entry.shape.join() !== shape.join()) problems.push(`tensor ${name} is [${entry.shape}] where the model needs [${shape}]`);
    }
    for (const name of file.header.tensors.keys()) if (!trainable.has(name)) problems.push(`tensor ${name} has no place in the model`);
    if (problems.length > 0) {
      throw new Refusal('corrupt_model_file', `${path} does not fit the base model: ${problems.join('; ')}`, {
        param: 'model',
        hint: 'Was the adapter trained on another base model?',
      });
    }
    model.assign(new Map([...trainable.keys()].map((name) => [name, file.read(name).data as Float32Array])));
  } finally {
    file.close();
  }
}

/** @returns the model with the adapter loaded. @throws Refusal what `loadAdapter` throws, the model then being disposed of */
export function withAdapter<M extends TunedModel>(model: M, dir: string): M {
  try {
    loadAdapter(model, dir);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** PEFT matches by the end of a name, so `all-linear` is written as the layers' last names. */
function shortNames({ target_modules: asked }: ResolvedLora, names: Iterable<string>): string[] {
  if (asked !== ALL_LINEAR) return asked;
  return [...new Set([...names].map((name) => name.split('.').at(-3)!))];
}
