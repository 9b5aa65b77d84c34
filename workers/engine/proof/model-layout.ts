import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { readJson } from '../io/files.ts';
import { MODEL_DIRECTORY_HINT, storedShapes } from '../io/weight-files.ts';
import { canonicalName, weightShapes } from '../model/module-shapes.ts';
import { readModelConfig } from '../model/weights.ts';

/** Fields of config.json that storing a model may change. */
const STORED_AS = ['dtype', 'torch_dtype'];

/**
 * Checks that a delivered model directory equals the base model in everything but the values. Missing tensors are found when it is loaded.
 * @returns what is wrong
 */
export function modelProblems(deliveredDir: string, modelDir: string): string[] {
  const problems: string[] = [];
  const config = readModelConfig(modelDir);
  const known = weightShapes(config);
  // The base may have been saved under shorter names than ours, which transformers also reads.
  const base = new Map([...storedShapes(modelDir)].map(([stored, shape]) => [canonicalName(stored, config, known), shape]));
  for (const [name, shape] of storedShapes(deliveredDir)) {
    const expected = base.get(name);
    if (expected === undefined) problems.push(`tensor ${name} is not in the base model`);
    else if (expected.join() !== shape.join()) problems.push(`tensor ${name} is [${shape}] where the base model has [${expected}]`);
  }
  const [theirs, ours] = [modelDir, deliveredDir].map(configOf);
  for (const field of new Set([...Object.keys(theirs!), ...Object.keys(ours!)])) {
    if (!isDeepStrictEqual(theirs![field], ours![field])) problems.push(`config.json has a different ${field} than the base model's`);
  }
  return problems;
}

function configOf(dir: string): Record<string, unknown> {
  const config = readJson(join(dir, CONFIG_FILE), MODEL_DIRECTORY_HINT) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(config).filter(([field]) => !STORED_AS.includes(field)));
}
