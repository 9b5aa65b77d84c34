/** Checks that an adapter's file holds what PEFT looks for, according to the base model's files and not the trained model in memory. */
import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora.ts';
import { openSafetensors } from '../io/safetensors.ts';
import { storedShapes } from '../io/weight-files.ts';

/** PEFT's names: `base_model.model.`, the module's name, then A [r, in] or B [out, r]. */
const KEY = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/** @returns how an adapter's adapter_config.json differs from what was trained */
export function configProblems(written: ResolvedLora, trained: ResolvedLora): string[] {
  const problems: string[] = [];
  for (const field of ['r', 'lora_alpha', 'lora_dropout', 'use_rslora'] as const) {
    if (written[field] !== trained[field])
      problems.push(`adapter_config.json says ${field} ${written[field]}; the adapter was trained with ${trained[field]}`);
  }
  if (trained.target_modules !== ALL_LINEAR && [...trained.target_modules].sort().join() !== [...written.target_modules].sort().join())
    problems.push(`adapter_config.json says target_modules ${written.target_modules}; the adapter was trained with ${trained.target_modules}`);
  return problems;
}

/**
 * @param config what the adapter's adapter_config.json says
 * @returns what is wrong; empty when PEFT finds every tensor that it needs and no others
 */
export function adapterProblems(adapterDir: string, modelDir: string, config: ResolvedLora): string[] {
  const problems: string[] = [];
  const layers = linearLayers(modelDir);
  const file = openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
  file.close();
  const matrices = new Map<string, string[]>();
  const adapted = new Set<string>();
  for (const [key, { shape }] of file.header.tensors) {
    const [, module, which] = KEY.exec(key) ?? [];
    if (module === undefined || which === undefined) {
      problems.push(`${key} is not a name that PEFT knows`);
      continue;
    }
    const layer = layerOf(module, layers);
    if (layer === undefined) problems.push(`${key} belongs to no layer of the base model`);
    else if (!fits(shape, which, layers.get(layer)!, config.r))
      problems.push(`${key} is [${shape}], which does not fit a layer of [${layers.get(layer)}] with r ${config.r}`);
    else adapted.add(layer);
    matrices.set(module, [...(matrices.get(module) ?? []), which]);
  }
  if (matrices.size === 0) problems.push('the adapter has no tensors');
  for (const [module, found] of matrices) if (found.length === 1) problems.push(`${module} has lora_${found[0]} without its counterpart`);
  const { target_modules: targets } = config;
  if (targets === ALL_LINEAR) return problems;
  // PEFT's matching: the whole name, or its end after a dot.
  const isTarget = (module: string): boolean => targets.some((target) => module === target || module.endsWith(`.${target}`));
  for (const layer of layers.keys()) if (isTarget(layer) && !adapted.has(layer)) problems.push(`${layer} is a target module without an adapter`);
  for (const module of matrices.keys()) if (!isTarget(module)) problems.push(`${module} has an adapter but is not a target module`);
  return problems;
}

/** Shapes of the two-dimensional weights, by module. */
function linearLayers(modelDir: string): Map<string, number[]> {
  const weights = [...storedShapes(modelDir)].filter(([name, shape]) => shape.length === 2 && name.endsWith('.weight'));
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
