/** The files in which a model directory's weights are stored. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { shardsOf, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { readJson } from './files.ts';
import { type WeightFile, withUnpacked } from './mxfp4.ts';
import { openSafetensors } from './safetensors.ts';

/** Hint for a file missing from a model directory. */
export const MODEL_DIRECTORY_HINT = 'Is this a Hugging Face model directory?';

/**
 * @returns their paths: one file, or the shards that the index names
 * @throws Refusal `corrupt_model_file` when any is missing
 */
export function weightFiles(modelDir: string): string[] {
  const single = join(modelDir, WEIGHTS_FILE);
  if (existsSync(single)) return [single];
  const index = join(modelDir, WEIGHTS_INDEX_FILE);
  if (!existsSync(index)) {
    throw new Refusal('corrupt_model_file', `${modelDir} has neither ${WEIGHTS_FILE} nor ${WEIGHTS_INDEX_FILE}`, {
      param: 'model',
      hint: 'Weights must be safetensors files.',
    });
  }
  const named = shardsOf(readJson(index, MODEL_DIRECTORY_HINT));
  if ('problem' in named) throw new Refusal('corrupt_model_file', `${index} ${named.problem}`, { param: 'model' });
  const { shards } = named;
  const missing = shards.filter((name) => !existsSync(join(modelDir, name)));
  if (missing.length > 0)
    throw new Refusal('corrupt_model_file', `${modelDir} lacks ${missing.join(', ')}, which ${WEIGHTS_INDEX_FILE} names`, { param: 'model' });
  return shards.map((name) => join(modelDir, name));
}

/**
 * Opens the files of `weightFiles`.
 * @param options.packed whether matrices in MXFP4 are found under their own names
 */
export function openWeightFiles(modelDir: string, { packed }: { packed: boolean }): WeightFile[] {
  const files: WeightFile[] = [];
  try {
    for (const path of weightFiles(modelDir)) files.push({ file: openSafetensors(path), where: basename(path) });
  } catch (error) {
    for (const { file } of files) file.close();
    throw error;
  }
  return packed ? withUnpacked(files) : files;
}

/** The shape of every tensor stored in a model directory, by name; of a packed one, as it is used. Reads only the headers. */
export function storedShapes(modelDir: string): Map<string, number[]> {
  const files = openWeightFiles(modelDir, { packed: true });
  const shapes = new Map(files.flatMap(({ file }) => [...file.header.tensors].map(([name, { shape }]) => [name, shape])));
  for (const { file } of files) file.close();
  return shapes;
}
