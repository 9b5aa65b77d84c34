/** Reads a base model's weights from a Hugging Face directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { readJson } from '../io/files.ts';
import type { HeldFloats } from '../io/float-formats.ts';
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { canonicalName, weightShapes } from './module-shapes.ts';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

const HINT = 'Is this a Hugging Face model directory?';

/** Left over in old checkpoints; computed from the configuration: rotary frequencies, causal masks. */
const COMPUTED = /(\.rotary_emb\.inv_freq|\.(attn|attention)\.(bias|masked_bias))$/;

export function readModelConfig(modelDir: string): ModelConfig {
  const path = join(modelDir, 'config.json');
  return parseModelConfig(readJson(path, HINT), path);
}

/** A model directory's weights, opened and compared with its configuration. */
export interface StoredWeights {
  /** @returns a weight as f32, row-major: any of `weightShapes` */
  read(name: string): Float32Array;
  /** Reads a weight to where it is held. */
  readInto(name: string, held: HeldFloats): void;
  close(): void;
}

/**
 * Opens `model.safetensors`, or the shards its index names.
 * @throws Refusal `corrupt_model_file` telling every missing, misshapen and unknown tensor at once
 */
export function openWeights(modelDir: string, config: ModelConfig): StoredWeights {
  const files = openFiles(modelDir);
  const close = (): void => {
    for (const file of files) file.close();
  };
  const expected = weightShapes(config);
  const holder = new Map<string, Stored>();
  for (const file of files) for (const stored of file.header.tensors.keys()) holder.set(canonicalName(stored, config, expected), { file, stored });
  const problems = mismatches(expected, holder, config);
  if (problems.length > 0) {
    close();
    throw new Refusal('corrupt_model_file', `${modelDir} is not the model its config.json describes: ${problems.join('; ')}`, {
      param: 'model',
      hint: 'Download or export the directory again, whole.',
    });
  }
  return {
    read(name) {
      const { file, stored } = holder.get(name)!;
      return file.read(stored).data as Float32Array;
    },
    readInto(name, held) {
      const { file, stored } = holder.get(name)!;
      file.readInto(stored, held);
    },
    close,
  };
}

/**
 * Every weight of `weightShapes` as f32.
 * @returns tensors that the caller owns
 * @throws Refusal `corrupt_model_file`
 */
export function loadWeights(modelDir: string, config: ModelConfig): Map<string, Tensor> {
  const stored = openWeights(modelDir, config);
  const weights = new Map<string, Tensor>();
  try {
    for (const [name, shape] of weightShapes(config)) weights.set(name, tf.tensor(stored.read(name), shape, 'float32'));
    return weights;
  } catch (error) {
    tf.dispose([...weights.values()]);
    throw error;
  } finally {
    stored.close();
  }
}

interface Stored {
  file: SafetensorsFile;
  /** Its name there. */
  stored: string;
}

function mismatches(expected: ReadonlyMap<string, number[]>, holder: ReadonlyMap<string, Stored>, config: ModelConfig): string[] {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const found = holder.get(name);
    const entry = found?.file.header.tensors.get(found.stored);
    if (entry === undefined) problems.push(`tensor ${name} is missing`);
    else if (entry.shape.join() !== shape.join()) problems.push(`tensor ${name} is [${entry.shape}] where the configuration says [${shape}]`);
    else if (!['F32', 'F16', 'BF16', 'F64'].includes(entry.dtype))
      problems.push(`tensor ${name} is of type ${entry.dtype}; weights are F32, F16 or BF16`);
  }
  for (const name of holder.keys()) {
    const known = expected.has(name) || COMPUTED.test(name) || (config.tiedHead && name === `${config.names.head}.weight`);
    if (!known) problems.push(`tensor ${name} is none of this architecture's`);
  }
  return problems;
}

function openFiles(modelDir: string): SafetensorsFile[] {
  const single = join(modelDir, SINGLE_FILE);
  if (existsSync(single)) return [openSafetensors(single)];
  const index = join(modelDir, INDEX_FILE);
  if (!existsSync(index)) {
    throw new Refusal('corrupt_model_file', `${modelDir} has neither ${SINGLE_FILE} nor ${INDEX_FILE}`, {
      param: 'model',
      hint: 'Weights are read from safetensors alone.',
    });
  }
  const { weight_map: weightMap } = readJson(index, HINT) as { weight_map?: Record<string, unknown> };
  const names = [...new Set(Object.values(weightMap ?? {}))];
  const unsafe = names.find((name) => typeof name !== 'string' || name.includes('/') || name.includes('\\'));
  if (names.length === 0 || unsafe !== undefined) {
    throw new Refusal('corrupt_model_file', `${index} names ${unsafe === undefined ? 'no file' : `the file ${JSON.stringify(unsafe)}`}`, {
      param: 'model',
    });
  }
  const missing = names.filter((name) => !existsSync(join(modelDir, name as string)));
  if (missing.length > 0) {
    throw new Refusal('corrupt_model_file', `${modelDir} lacks ${missing.join(', ')}, which ${INDEX_FILE} names`, { param: 'model' });
  }
  const files: SafetensorsFile[] = [];
  try {
    for (const name of names) files.push(openSafetensors(join(modelDir, name as string)));
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
  return files;
}
