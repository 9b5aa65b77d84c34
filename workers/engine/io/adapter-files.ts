/** What the adapter directories of all PEFT methods have in common. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { linearLayers } from '../../../src/formats/module-shapes.ts';
import { isRecord } from '../../../src/formats/record.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { ALL_LINEAR } from '../../../src/formats/tuning/lora-fields.ts';
import { lastParts, targetedModules } from '../../../src/formats/tuning/lora-layers.ts';
import type { TunedBase } from '../tuning/method.ts';
import type { TensorValues } from '../tuning/tuned-model.ts';
import { ADAPTER_DIRECTORY_HINT } from './adapter.ts';
import { adapterCard, CARD_FILE, type CardMethod } from './adapter-card.ts';
import { isNames, isUnset, PEFT_VERSION } from './adapter-config.ts';
import { readJson, writeFileWhole } from './files.ts';
import { writeSafetensors } from './safetensors.ts';

interface WrittenAdapter {
  /** Of the base. */
  config: ModelConfig;
  /** By PEFT's names. */
  tensors: ReadonlyMap<string, TensorValues>;
  peftType: string;
  /** The method's own fields of adapter_config.json. */
  fields: Readonly<Record<string, unknown>>;
  base: TunedBase;
  card: CardMethod;
}

/** Writes an adapter in f32, so that PEFT loads it. @returns the file names written */
export function writeAdapterFiles(dir: string, { config: ofBase, tensors, peftType, fields, base, card }: WrittenAdapter): string[] {
  mkdirSync(dir, { recursive: true });
  writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), tensors);
  const config: Record<string, unknown> = {
    auto_mapping: null,
    base_model_name_or_path: base.name,
    inference_mode: true,
    peft_type: peftType,
    peft_version: PEFT_VERSION,
    revision: base.revision,
    task_type: 'CAUSAL_LM',
    ...fields,
  };
  const inOrder = Object.fromEntries(
    Object.keys(config)
      .sort()
      .map((field) => [field, config[field]]),
  ); // as PEFT writes it
  writeFileWhole(join(dir, ADAPTER_CONFIG_FILE), `${JSON.stringify(inOrder, null, 2)}\n`);
  writeFileWhole(join(dir, CARD_FILE), adapterCard(base, { method: card, rankStabilised: null, isMultimodal: ofBase.otherTowers !== undefined }));
  return [CARD_FILE, ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
}

/** Fields that do not affect the maths. */
const DESCRIPTIVE = new Set(['auto_mapping', 'base_model_name_or_path', 'revision', 'inference_mode', 'peft_version', 'peft_type']);

/** The fields of an adapter_config.json, each of which is asked for; what is not is refused if it is set. */
export interface ConfigFields {
  /** @returns the field's value, if `fits` says so; otherwise the field is refused */
  take<V>(field: string, fits: (value: unknown) => value is V): V;
  /** A field that changes nothing in the maths of a trained adapter. */
  ignore(...fields: string[]): void;
}

/**
 * @param read takes the fields that the method knows
 * @throws Refusal `unsupported_adapter` naming every field with a value that the method cannot do, `corrupt_model_file`
 */
export function readAdapterFields<T>(dir: string, read: (fields: ConfigFields) => T): T {
  const path = join(dir, ADAPTER_CONFIG_FILE);
  const json = readJson(path, ADAPTER_DIRECTORY_HINT);
  if (!isRecord(json)) throw new Refusal('corrupt_model_file', `${path} is not a JSON object`, { param: 'model' });
  const known = new Set(DESCRIPTIVE);
  const problems: string[] = [];
  const refuse = (field: string): void => {
    problems.push(`${field} is ${JSON.stringify(json[field]) ?? 'missing'}`);
  };
  const fields: ConfigFields = {
    take(field, fits) {
      known.add(field);
      const value = json[field];
      if (!fits(value)) refuse(field);
      return value as never;
    },
    ignore: (...names) => {
      for (const name of names) known.add(name);
    },
  };
  fields.take('task_type', (value): value is unknown => value === 'CAUSAL_LM' || value === null || value === undefined);
  const taken = read(fields);
  for (const field of Object.keys(json)) if (!known.has(field) && !isUnset(json[field])) refuse(field);
  if (problems.length === 0) return taken;
  throw new Refusal('unsupported_adapter', `${path}: ${problems.join('; ')}`, {
    param: 'model',
    hint: 'Only what a job can ask of this method can be read.',
  });
}

/** A method's `target_modules`: names, or all linear layers. */
type Targets = string[] | typeof ALL_LINEAR;

export const isTargets = (value: unknown): value is Targets => value === ALL_LINEAR || isNames(value);

/**
 * PEFT matches the end of a name. Of a multimodal model's layers the whole names are written, because it looks for them in all towers.
 * @returns `target_modules` for adapter_config.json
 */
export function writtenTargets(config: ModelConfig, targets: Targets): string[] {
  const modules = [...linearLayers(config).keys()];
  const written = targets === ALL_LINEAR ? lastParts(modules) : targets;
  return (config.otherTowers === undefined ? [...written] : targetedModules(modules, { target_modules: targets })).sort();
}
