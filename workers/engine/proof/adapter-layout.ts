/** Checks that an adapter's file holds what PEFT looks for, according to the base model's files and not the trained model in memory. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { canonicalNames } from '../../../src/formats/module-shapes.ts';
import { magnitudeName } from '../../../src/formats/tuning/lora.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';
import { rankRule, selectionRule } from '../../../src/formats/tuning/lora-layers.ts';
import { openSafetensors } from '../io/safetensors.ts';
import { storedShapes } from '../io/weight-files.ts';
import { readModelConfig } from '../model/weights.ts';
import { shapeProblems } from './adapter-shapes.ts';

/** PEFT's names: `base_model.model.`, the module's name, then A [r, in] or B [out, r]. */
const KEY = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/** Any tensor of an adapted layer. */
const ADAPTED = /^base_model\.model\.(.+)\.lora_(?:embedding_)?[AB](?:\.weight)?$/;

/** @returns how an adapter's adapter_config.json differs from what was trained */
export function configProblems(written: ResolvedLora, trained: ResolvedLora, { otherTowers }: ModelConfig): string[] {
  const problems: string[] = [];
  for (const field of ['r', 'lora_alpha', 'lora_dropout', 'use_rslora'] as const) {
    if (written[field] !== trained[field])
      problems.push(`adapter_config.json says ${field} ${written[field]}; the adapter was trained with ${trained[field]}`);
  }
  for (const field of ['target_parameters', 'rank_pattern', 'alpha_pattern', 'use_dora', 'bias', 'modules_to_save'] as const) {
    if (!isDeepStrictEqual(written[field], trained[field]))
      problems.push(
        `adapter_config.json says ${field} ${JSON.stringify(written[field])}; the adapter was trained with ${JSON.stringify(trained[field])}`,
      );
  }
  // A regular expression, what is selected by layers, and in a multimodal model everything, is written as the names that it selected, which are compared
  // with the tensors below.
  const isPlain = trained.exclude_modules === undefined && trained.layers_to_transform === undefined && otherTowers === undefined;
  if (isPlain && Array.isArray(trained.target_modules) && [...trained.target_modules].sort().join() !== [...written.target_modules].sort().join())
    problems.push(`adapter_config.json says target_modules ${written.target_modules}; the adapter was trained with ${trained.target_modules}`);
  return problems;
}

/**
 * @param config what the adapter's adapter_config.json says
 * @returns what is wrong; empty when PEFT finds every tensor that it needs and no others
 */
export function adapterProblems(adapterDir: string, modelDir: string, config: ResolvedLora): string[] {
  if (readModelConfig(modelDir).experts !== undefined) return shapeProblems(adapterDir, { modelDir, written: config, tuning: config });
  const problems: string[] = [];
  const stored = shapesInPeft(modelDir);
  const layers = linearLayers(stored);
  const file = openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
  file.close();
  const matrices = new Map<string, string[]>();
  const rankOf = rankRule(
    config,
    [...file.header.tensors.keys()].map((key) => ADAPTED.exec(key)?.[1] ?? ''),
  );
  const adapted = new Set<string>();
  for (const [key, { shape }] of file.header.tensors) {
    const [, module, which] = KEY.exec(key) ?? [];
    if (module === undefined || which === undefined) {
      problems.push(...extraProblems(key, shape, { config, stored, rankOf }));
      const embedding = /^base_model\.model\.(.+)\.lora_embedding_A$/.exec(key)?.[1];
      if (embedding !== undefined) adapted.add(layerOf(embedding, layers) ?? embedding);
      continue;
    }
    const layer = layerOf(module, layers);
    if (layer === undefined) problems.push(`${key} belongs to no layer of the base model`);
    else if (!fits(shape, which, layers.get(layer)!, rankOf(module).r))
      problems.push(`${key} is [${shape}], which does not fit a layer of [${layers.get(layer)}] with r ${rankOf(module).r}`);
    else adapted.add(layer);
    matrices.set(module, [...(matrices.get(module) ?? []), which]);
  }
  const has = (key: string): boolean => file.header.tensors.has(key);
  if (file.header.tensors.size === 0) problems.push('the adapter has no tensors');
  if (config.use_dora === true)
    for (const module of matrices.keys()) if (!has(magnitudeName(module))) problems.push(`${module} has no lora_magnitude_vector`);
  for (const key of file.header.tensors.keys()) {
    const other = key.replace(/lora_embedding_([AB])$/, (_, matrix) => `lora_embedding_${matrix === 'A' ? 'B' : 'A'}`);
    if (!has(other)) problems.push(`${key} has no counterpart`);
  }
  for (const [module, found] of matrices) if (found.length === 1) problems.push(`${module} has lora_${found[0]} without its counterpart`);
  if (config.target_modules === ALL_LINEAR) return problems;
  const isTarget = selectionRule(config);
  for (const layer of layers.keys()) if (isTarget(layer) && !adapted.has(layer)) problems.push(`${layer} is a target module without an adapter`);
  for (const module of matrices.keys()) if (!isTarget(module)) problems.push(`${module} has an adapter but is not a target module`);
  return problems;
}

/** Shapes of the base's tensors. A multimodal model's are stored under the names of its release, and PEFT sees those that transformers has given them. */
function shapesInPeft(modelDir: string): Map<string, number[]> {
  const [stored, config] = [storedShapes(modelDir), readModelConfig(modelDir)];
  if (config.otherTowers === undefined) return stored;
  return new Map([...canonicalNames(stored.keys(), config)].map(([name, inFile]) => [name, stored.get(inFile)!]));
}

/** @returns what is wrong with a tensor that is neither A nor B of a linear layer */
function extraProblems(
  key: string,
  shape: readonly number[],
  { config, stored, rankOf }: { config: ResolvedLora; stored: ReadonlyMap<string, number[]>; rankOf: ReturnType<typeof rankRule> },
): string[] {
  const { bias = 'none', modules_to_save: saved = [], use_dora: dora = false } = config;
  const [, module, part] =
    /^base_model\.model\.(.+?)\.(lora_magnitude_vector|lora_embedding_[AB]|base_layer\.weight|(?:base_layer\.)?bias|weight)$/.exec(key) ?? [];
  if (module === undefined || part === undefined) return [`${key} is not a name that PEFT knows`];
  const weight = part.endsWith('bias') ? 'bias' : 'weight';
  const name = layerOf(`${module}.${weight}`, stored);
  if (name === undefined) return [`${key} belongs to no layer of the base model`];
  const own = stored.get(name)!;
  const fitting = (...wanted: (number | undefined)[]): string[] =>
    shape.join() === wanted.join() ? [] : [`${key} is [${shape}], which does not fit a layer of [${own}]`];
  const isSaved = saved.some((end) => module.endsWith(end));
  if (part === 'lora_magnitude_vector')
    return dora && shape.length === 1 && own.includes(shape[0]!) ? [] : [`${key} is [${shape}], which does not fit DoRA on a layer of [${own}]`];
  if (part === 'lora_embedding_A') return fitting(rankOf(module).r, own[0]);
  if (part === 'lora_embedding_B') return fitting(own[1], rankOf(module).r);
  const isExpected = isSaved || part === 'base_layer.weight' || (weight === 'bias' && bias !== 'none');
  return isExpected ? fitting(...own) : [`${key} is not what adapter_config.json says was trained`];
}

/** Shapes of the two-dimensional weights, by module. */
function linearLayers(stored: ReadonlyMap<string, number[]>): Map<string, number[]> {
  const weights = [...stored].filter(([name, shape]) => shape.length === 2 && name.endsWith('.weight'));
  return new Map(weights.map(([name, shape]) => [name.slice(0, -'.weight'.length), shape]));
}

/** Some checkpoints omit the outermost module's name, which PEFT's names include. */
function layerOf(module: string, layers: ReadonlyMap<string, unknown>): string | undefined {
  return [module, module.slice(module.indexOf('.') + 1)].find((name) => layers.has(name));
}

/** @param layer [out, in], or [in, out] for GPT-2's Conv1D */
function fits(shape: readonly number[], which: string, layer: readonly number[], r: number): boolean {
  if (shape.length !== 2) return false;
  return which === 'A' ? shape[0] === r && layer.includes(shape[1]!) : shape[1] === r && layer.includes(shape[0]!);
}
