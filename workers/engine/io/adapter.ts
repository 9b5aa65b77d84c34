/** PEFT adapter directories: `adapter_config.json`, `adapter_model.safetensors` and a model card. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';
import { adapterCard, CARD_FILE } from './adapter-card.ts';
import { adapterConfigJson, parseAdapterConfig } from './adapter-config.ts';
import { readJson, writeFileWhole } from './files.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

/** Hint for a file missing from an adapter directory. */
export const ADAPTER_DIRECTORY_HINT = 'Is this a PEFT adapter directory?';

interface AdapterOptions {
  tuning: ResolvedLora;
  /** PEFT's `base_model_name_or_path`. */
  baseModelName: string;
  /** PEFT's `revision`. */
  baseModelRevision?: string | null;
}

/**
 * Writes the adapter in f32, so that PEFT loads it.
 * @param model a model whose tensors have PEFT's names: A [r, in], B [out, r]
 * @returns the file names written
 */
export function saveAdapter(
  model: Pick<TunedModel, 'config' | 'read'>,
  dir: string,
  { tuning, baseModelName, baseModelRevision = null }: AdapterOptions,
): string[] {
  mkdirSync(dir, { recursive: true });
  const tensors = model.read();
  writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), tensors);
  const written = adapterConfigJson(
    { ...tuning, target_modules: shortNames(tuning, tensors.keys()) },
    { name: baseModelName, revision: baseModelRevision, inputFirst: model.config.inputFirst },
  );
  writeFileWhole(join(dir, ADAPTER_CONFIG_FILE), `${JSON.stringify(written, null, 2)}\n`);
  writeFileWhole(
    join(dir, CARD_FILE),
    adapterCard({ name: baseModelName, revision: baseModelRevision }, { rankStabilised: tuning.use_rslora ? tuning.r : null }),
  );
  return [CARD_FILE, ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
}

/** @throws Refusal `unsupported_adapter` for whatever would change the maths, `corrupt_model_file` for what cannot be read */
export function readAdapterConfig(dir: string): ResolvedLora {
  const path = join(dir, ADAPTER_CONFIG_FILE);
  return parseAdapterConfig(readJson(path, ADAPTER_DIRECTORY_HINT), path);
}

/**
 * Sets a model's A and B to those of an adapter directory.
 * @throws Refusal `corrupt_model_file` naming every missing, misshapen or unknown tensor
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
    for (const name of file.header.tensors.keys()) if (!trainable.has(name)) problems.push(`tensor ${name} does not belong to the model`);
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

/** PEFT matches the end of a name, so `all-linear` is written as the last parts of the layers' names. */
function shortNames({ target_modules: targets }: ResolvedLora, names: Iterable<string>): string[] {
  if (targets !== ALL_LINEAR) return targets;
  return [...new Set([...names].map((name) => name.split('.').at(-3)!))];
}
