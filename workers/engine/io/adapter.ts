/** PEFT adapter directories: `adapter_config.json` and `adapter_model.safetensors`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../../src/formats/input-error.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ALL_LINEAR, type ResolvedLora, type ResolvedTuning } from '../../../src/formats/tuning.ts';
import { tf, type Variable } from '../tensorflow.ts';
import { adapterConfigJson, parseAdapterConfig } from './adapter-config.ts';
import { readJson, writeFileWhole } from './files.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

const CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

/** What of a tuned model an adapter is on disk. */
interface Adapted {
  readonly config: Pick<ModelConfig, 'inputFirst'>;
  readonly tuning: ResolvedTuning;
  /** By PEFT's names: A [r, in], B [out, r]. */
  readonly trainable: ReadonlyMap<string, Variable>;
}

/**
 * Writes the adapter so that PEFT loads it, in f32.
 * @param options.baseModelName PEFT's `base_model_name_or_path`
 * @param options.baseModelRevision PEFT's `revision`
 * @returns the file names written
 */
export function saveAdapter(
  { config: { inputFirst }, tuning, trainable }: Adapted,
  dir: string,
  { baseModelName, baseModelRevision = null }: { baseModelName: string; baseModelRevision?: string | null },
): string[] {
  if (tuning.type !== 'lora') throw new Error('only a LoRA model has an adapter to save');
  mkdirSync(dir, { recursive: true });
  const tensors = new Map([...trainable].map(([name, variable]) => [name, { shape: variable.shape, data: variable.dataSync() as Float32Array }]));
  writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), tensors);
  const config = adapterConfigJson(
    { ...tuning, target_modules: shortNames(tuning, trainable) },
    { name: baseModelName, revision: baseModelRevision, inputFirst },
  );
  writeFileWhole(join(dir, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  return [CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
}

/** @throws InputError `unsupported_adapter` for whatever would change the maths, `corrupt_model_file` for what cannot be read */
export function readAdapterConfig(dir: string): ResolvedLora {
  const path = join(dir, CONFIG_FILE);
  return parseAdapterConfig(readJson(path, 'Is this a PEFT adapter directory?'), path);
}

/**
 * Sets a model's A and B to those of an adapter directory.
 * @throws InputError `corrupt_model_file` telling every tensor that is missing, misshapen or too many
 */
export function loadAdapter({ trainable }: Pick<Adapted, 'trainable'>, dir: string): void {
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
      throw new InputError('corrupt_model_file', `${path} does not fit the base model: ${problems.join('; ')}`, {
        param: 'model',
        hint: 'Was the adapter trained on another base model?',
      });
    }
    for (const [name, variable] of trainable) {
      tf.tidy(() => variable.assign(tf.tensor(file.read(name).data, variable.shape, 'float32')));
    }
  } finally {
    file.close();
  }
}

/** PEFT matches by the end of a name, so `all-linear` is written as the layers' last names. */
function shortNames({ target_modules: asked }: ResolvedLora, trainable: Adapted['trainable']): string[] {
  if (asked !== ALL_LINEAR) return asked;
  return [...new Set([...trainable.keys()].map((name) => name.split('.').at(-3)!))];
}
