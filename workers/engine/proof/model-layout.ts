import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { canonicalNames, headWeight, isOfOtherTower } from '../../../src/formats/module-shapes.ts';
import { readJson } from '../io/files.ts';
import { MODEL_DIRECTORY_HINT, storedShapes } from '../io/weight-files.ts';
import { readModelConfig } from '../model/weights.ts';

/** Fields of config.json that storing a model may change. */
const STORED_AS = ['dtype', 'torch_dtype', 'quantization_config'];

const TIED = 'tie_word_embeddings';

/**
 * Checks that a delivered model directory equals the base model in everything but the values. Missing tensors are found when it is loaded.
 * @returns what is wrong
 */
export function modelProblems(deliveredDir: string, modelDir: string): string[] {
  const problems: string[] = [];
  const config = readModelConfig(modelDir);
  // The base may have been saved under shorter names than ours, which transformers also reads.
  const [base, delivered] = [modelDir, deliveredDir].map((dir) => {
    const stored = storedShapes(dir);
    return new Map([...canonicalNames(stored.keys(), config)].map(([name, inFile]) => [name, stored.get(inFile)!]));
  }) as [Map<string, number[]>, Map<string, number[]>];
  for (const name of base.keys())
    if (isOfOtherTower(name, config) && !delivered.has(name)) problems.push(`tensor ${name} of the base model is missing`);
  for (const [name, shape] of delivered) {
    const expected = base.get(name);
    if (expected === undefined) problems.push(`tensor ${name} is not in the base model`);
    else if (expected.join() !== shape.join()) problems.push(`tensor ${name} is [${shape}] where the base model has [${expected}]`);
  }
  const [theirs, ours] = [modelDir, deliveredDir].map(configOf);
  // A head that is not tied is delivered with a configuration that says so, whatever the base's says.
  const untied = delivered.has(headWeight(config)) && ours![TIED] === false;
  for (const field of new Set([...Object.keys(theirs!), ...Object.keys(ours!)])) {
    if (field === TIED && untied) continue;
    if (!isDeepStrictEqual(theirs![field], ours![field])) problems.push(`config.json has a different ${field} than the base model's`);
  }
  return problems;
}

function configOf(dir: string): Record<string, unknown> {
  const config = readJson(join(dir, CONFIG_FILE), MODEL_DIRECTORY_HINT) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(config).filter(([field]) => !STORED_AS.includes(field)));
}
