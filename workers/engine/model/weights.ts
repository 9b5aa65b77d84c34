/** Reads a base model's weights from a Hugging Face directory. */
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { readJson } from '../io/files.ts';
import type { HeldFloats } from '../io/float-formats.ts';
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.ts';
import { MODEL_DIRECTORY_HINT, weightFiles } from '../io/weight-files.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { canonicalName, weightShapes } from './module-shapes.ts';

/** Tensors of old checkpoints that are computed from the configuration: rotary frequencies, causal masks. */
const COMPUTED = /(\.rotary_emb\.inv_freq|\.(attn|attention)\.(bias|masked_bias))$/;

export function readModelConfig(modelDir: string): ModelConfig {
  const path = join(modelDir, CONFIG_FILE);
  return parseModelConfig(readJson(path, MODEL_DIRECTORY_HINT), path);
}

/** A model directory's weights, opened and checked against its configuration. */
export interface StoredWeights {
  /** @param name one of `weightShapes` @returns the weight as f32, row-major */
  read(name: string): Float32Array;
  /** Reads a weight into existing memory. */
  readInto(name: string, held: HeldFloats): void;
  close(): void;
}

/**
 * Opens `model.safetensors`, or the shards its index names.
 * @throws Refusal `corrupt_model_file` naming every missing, misshapen and unknown tensor
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
      hint: 'Download or export the whole directory again.',
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
  /** Its name in the file. */
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
      problems.push(`tensor ${name} is of type ${entry.dtype}; weights are F64, F32, F16 or BF16`);
  }
  for (const name of holder.keys()) {
    const known = expected.has(name) || COMPUTED.test(name) || (config.tiedHead && name === `${config.names.head}.weight`);
    if (!known) problems.push(`tensor ${name} does not belong to this architecture`);
  }
  return problems;
}

function openFiles(modelDir: string): SafetensorsFile[] {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of weightFiles(modelDir)) files.push(openSafetensors(path));
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
  return files;
}
