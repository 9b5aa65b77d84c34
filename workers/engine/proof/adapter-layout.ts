/** Does an adapter's file hold what PEFT will look for in it? Told from the base model's own files, not from the model that was trained. */
import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora.ts';
import { openSafetensors } from '../io/safetensors.ts';
import { storedShapes } from '../io/weight-files.ts';

/** PEFT's names: `base_model.model.` and the module's, then A [r, in] or B [out, r]. */
const KEY = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/** @returns in what an adapter's adapter_config.json differs from what was trained */
export function configProblems(written: ResolvedLora, trained: ResolvedLora): string[] {
  const problems: string[] = [];
  for (const field of ['r', 'lora_alpha', 'lora_dropout', 'use_rslora'] as const) {
    if (written[field] !== trained[field]) problems.push(`adapter_config.json says ${field} ${written[field]}; trained was ${trained[field]}`);
  }
  if (trained.target_modules !== ALL_LINEAR && [...trained.target_modules].sort().join() !== [...written.target_modules].sort().join())
    problems.push(`adapter_config.json says target_modules ${written.target_modules}; trained were ${trained.target_modules}`);
  return problems;
}

/**
 * @param config what the adapter's adapter_config.json says
 * @returns what is wrong; nothing when PEFT finds every tensor that it needs and no other
 */
export function adapterProblems(adapterDir: string, modelDir: string, config: ResolvedLora): string[] {
  const problems: string[] = [];
  const layers = linearLayers(modelDir);
  const file = openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
  file.close();
  const halves = new Map<string, string[]>();
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
      problems.push(`${key} is [${shape}], on a layer of [${layers.get(layer)}] with r ${config.r}`);
    else adapted.add(layer);
    halves.set(module, [...(halves.get(module) ?? []), which]);
  }
  if (halves.size === 0) problems.push('the adapter has no tensors');
  for (const [module, [half, other]] of halves) if (other === undefined) problems.push(`${module} has lora_${half} without the other half`);
  const { target_modules: targets } = config;
  if (targets === ALL_LINEAR) return problems;
  // PEFT's matching: the whole name, or its end after a dot.
  const isTarget = (module: string): boolean => targets.some((target) => module === target || module.endsWith(`.${target}`));
  for (const layer of layers.keys()) if (isTarget(layer) && !adapted.has(layer)) problems.push(`${layer} is a target module without an adapter`);
  for (const module of halves.keys()) if (!isTarget(module)) problems.push(`${module} has an adapter and is no target module`);
  return problems;
}

/** Shapes of the two-dimensional weights, by module. */
function linearLayers(modelDir: string): Map<string, number[]> {
  const weights = [...storedShapes(modelDir)].filter(([name, shape]) => shape.length === 2 && name.endsWith('.weight'));
  return new Map(weights.map(([name, shape]) => [name.slice(0, -'.weight'.length), shape]));
}

/** Some checkpoints leave out the outermost module's name, which PEFT's names have. */
function layerOf(module: string, layers: ReadonlyMap<string, unknown>): string | undefined {
  return [module, module.slice(module.indexOf('.') + 1)].find((name) => layers.has(name));
}

/** @param layer [out, in], or [in, out] for GPT-2's Conv1D */
function fits(shape: readonly number[], which: string, layer: readonly number[], r: number): boolean {
  if (shape.length !== 2) return false;
  return which === 'A' ? shape[0] === r && layer.includes(shape[1]!) : shape[1] === r && layer.includes(shape[0]!);
}
