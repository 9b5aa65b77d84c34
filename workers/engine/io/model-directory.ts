/** Hugging Face model directories, as full fine-tuning delivers them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withFields } from '../../../src/formats/changed-fields.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADDITIONAL_TEMPLATES_DIR, COMPANION_FILES, CONFIG_FILE, TEMPLATE_EXTENSION, WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { storedDtype, TORCH_NAMES, type WeightsDtype } from '../../../src/formats/stored-dtype.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';
import { readJson, writeFileWhole } from './files.ts';
import { writeSafetensors } from './safetensors.ts';
import { withAllTensors } from './tuned-tensors.ts';
import { MODEL_DIRECTORY_HINT } from './weight-files.ts';

export interface SaveModelOptions {
  /** The base model's directory, whose config, tokenizer and chat template are copied. */
  sourceDir: string;
  dtype: WeightsDtype;
}

/**
 * Writes a model whose weights were trained, all or some of them, in one safetensors file. A tied head is not written: it is the embedding. If the
 * base's config.json says that the head is tied and its weights say otherwise, the delivered one says so too. The other towers of a multimodal model are
 * copied bit for bit.
 * @returns the file names written
 */
export function saveModel(model: Pick<TunedModel, 'config' | 'read' | 'readLazily'>, dir: string, options: SaveModelOptions): string[] {
  mkdirSync(dir, { recursive: true });
  withAllTensors(model.readLazily?.() ?? model.read(), options.sourceDir, ({ tensors, copied }) =>
    writeSafetensors(join(dir, WEIGHTS_FILE), tensors, { dtype: options.dtype, copied }),
  );
  return [WEIGHTS_FILE, ...saveCompanions(model.config, dir, options)].sort();
}

/**
 * Writes what a model directory has beside its weights.
 * @param model as the weights have it
 * @returns the file names written
 */
export function saveCompanions(model: Pick<ModelConfig, 'tiedHead'>, dir: string, { sourceDir, dtype }: SaveModelOptions): string[] {
  const source = join(sourceDir, CONFIG_FILE);
  const config = readJson(source, MODEL_DIRECTORY_HINT) as Record<string, unknown>;
  // transformers 4 calls it torch_dtype, 5 dtype.
  const changes: Record<string, unknown> = { ['torch_dtype' in config ? 'torch_dtype' : 'dtype']: TORCH_NAMES[dtype] };
  if ('quantization_config' in config) changes['quantization_config'] = undefined; // what is written is unpacked
  if (!model.tiedHead && parseModelConfig(config, CONFIG_FILE).tiedHead) changes['tie_word_embeddings'] = false;
  writeFileWhole(join(dir, CONFIG_FILE), withFields(readFileSync(source, 'utf8'), changes));
  const copied = [...COMPANION_FILES.filter((name) => existsSync(join(sourceDir, name))), ...additionalTemplates(sourceDir)];
  rmSync(join(dir, ADDITIONAL_TEMPLATES_DIR), { recursive: true, force: true });
  for (const name of copied) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileWhole(join(dir, name), readFileSync(join(sourceDir, name)));
  }
  return [CONFIG_FILE, ...copied];
}

/** @returns the model's further chat templates, as paths in its directory */
function additionalTemplates(modelDir: string): string[] {
  const folder = join(modelDir, ADDITIONAL_TEMPLATES_DIR);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(TEMPLATE_EXTENSION));
  return names.sort().map((name) => `${ADDITIONAL_TEMPLATES_DIR}/${name}`);
}

/** The type of a directory's weights. */
export const storedDtypeOf = (modelDir: string): ReturnType<typeof storedDtype> =>
  storedDtype(readJson(join(modelDir, CONFIG_FILE), MODEL_DIRECTORY_HINT) as Record<string, unknown>);
