/** Reads a base model's weights from a Hugging Face directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type StoredPart, storedForms } from '../../../src/formats/expert-shapes.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { canonicalNames, headWeight, isOfOtherTower, isUnused, weightShapes } from '../../../src/formats/module-shapes.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { readJson } from '../io/files.ts';
import type { HeldFloats } from '../io/float-formats.ts';
import { notAModel } from '../io/not-a-model.ts';
import type { CopiedTensor } from '../io/safetensors.ts';
import { MODEL_DIRECTORY_HINT, openWeightFiles } from '../io/weight-files.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { entryOf, readWeightInto, type StoredTensor, type StoredWeight, sameValues } from './stored-tensor.ts';

/** Tensors of old checkpoints that are computed from the configuration: rotary frequencies, causal masks. */
const COMPUTED = /(\.rotary_emb\.inv_freq|\.(attn|attention)\.(bias|masked_bias))$/;

export function readModelConfig(modelDir: string): ModelConfig {
  const path = join(modelDir, CONFIG_FILE);
  if (!existsSync(path)) throw notAModel(modelDir);
  return parseModelConfig(readJson(path, MODEL_DIRECTORY_HINT), path);
}

/** A tensor that a weight is written into. */
export interface DeliveredPart extends StoredPart {
  /** Index of its first element in the weight. */
  first: number;
}

/** A model directory's weights, opened and checked against its configuration. */
export interface StoredWeights {
  /** The configuration, with the head tied or not as the weights have it. */
  config: ModelConfig;
  /**
   * Reads a weight, or a part of it, into existing memory.
   * @param name  one of `weightShapes`
   * @param first index of the first element to read; by default, the whole weight is read
   * @throws Refusal `corrupt_model_file` naming every weight that holds NaN or an infinite value, if this one does
   */
  readInto(name: string, held: HeldFloats, first?: number): void;
  /** Whether a weight is stored as bf16. @param name one of `weightShapes` */
  isBfloat16(name: string): boolean;
  /** How a weight is written into a file: as one tensor, or as several that share its elements, in their order. @param name one of `weightShapes` */
  delivered(name: string): readonly DeliveredPart[];
  /** The weights of a multimodal model's other towers, by their names in the files. */
  otherTowers: ReadonlyMap<string, CopiedTensor>;
  close(): void;
}

/**
 * Opens `model.safetensors`, or the shards its index names.
 * @throws Refusal `corrupt_model_file` naming every missing, misshapen and unknown tensor
 */
export function openWeights(modelDir: string, declared: ModelConfig): StoredWeights {
  const files = openWeightFiles(modelDir, { packed: declared.packed !== undefined });
  const close = (): void => {
    for (const { file } of files) file.close();
  };
  try {
    const stored = new Map(files.flatMap(({ file, where }) => [...file.header.tensors.keys()].map((name) => [name, { file, where, name }])));
    const forms = storedForms(declared);
    const weights = storedWeights(stored, { config: declared, forms });
    const config = { ...declared, tiedHead: declared.tiedHead && !hasOwnHead(weights, declared) };
    const problems = mismatches(weights, { config, forms });
    if (problems.length > 0) {
      throw new Refusal('corrupt_model_file', `${modelDir} is not the model its config.json describes: ${problems.join('; ')}`, {
        param: 'model',
        hint: 'Download or export the whole directory again.',
      });
    }
    return {
      config,
      readInto(name, held, first) {
        if (!readWeightInto(weights.get(name)!, held, first)) throw nonFinite(modelDir, weights, config);
      },
      isBfloat16: (name) => weights.get(name)!.every((part) => entryOf(part).dtype === 'BF16'),
      delivered(name) {
        // transformers writes a multimodal model under the names of its release, and names of two releases may not go together; experts, as the base has them.
        const asInBase = config.otherTowers !== undefined || forms.has(name);
        let end = 0;
        return weights.get(name)!.map((part) => {
          const { shape } = entryOf(part);
          const first = end;
          end += shapeSize(shape);
          return { name: asInBase ? part.name : name, shape, first };
        });
      },
      otherTowers: new Map([...stored].filter(([name]) => isOfOtherTower(name, config)).map(([name, one]) => [name, copied(one)])),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Every weight of `weightShapes` as f32.
 * @returns tensors that the caller owns, and the configuration as the weights have it
 * @throws Refusal `corrupt_model_file`
 */
export function loadWeights(modelDir: string, declared: ModelConfig): { config: ModelConfig; weights: Map<string, Tensor> } {
  const stored = openWeights(modelDir, declared);
  const { config } = stored;
  const weights = new Map<string, Tensor>();
  try {
    for (const [name, shape] of weightShapes(config)) {
      const held = new Float32Array(shapeSize(shape));
      stored.readInto(name, held);
      weights.set(name, tf.tensor(held, shape, 'float32'));
    }
    return { config, weights };
  } catch (error) {
    tf.dispose([...weights.values()]);
    throw error;
  } finally {
    stored.close();
  }
}

function copied(tensor: StoredTensor): CopiedTensor {
  const { dtype, shape, byteLength } = entryOf(tensor);
  return { dtype, shape, byteLength, readInto: (bytes, first) => tensor.file.readBytesInto(tensor.name, bytes, first) };
}

interface Described {
  config: ModelConfig;
  /** `storedForms` */
  forms: ReadonlyMap<string, readonly StoredPart[]>;
}

/** The tensors of each weight, by its name; unknown ones by their own. */
function storedWeights(stored: ReadonlyMap<string, StoredTensor>, { config, forms }: Described): Map<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>([...canonicalNames(stored.keys(), config)].map(([name, inFile]) => [name, [stored.get(inFile)!]]));
  for (const [name, parts] of forms) {
    if (weights.has(name) || !parts.some((part) => weights.has(part.name))) continue;
    const found = parts.flatMap((part) => weights.get(part.name) ?? []);
    if (found.length < parts.length) continue;
    for (const part of parts) weights.delete(part.name);
    weights.set(name, found);
  }
  return weights;
}

/** As transformers: a head that differs from the embedding is not tied to it, whatever config.json says. */
function hasOwnHead(weights: ReadonlyMap<string, StoredWeight>, config: ModelConfig): boolean {
  const [embedding, head] = [weights.get(`${config.names.embedding}.weight`)?.[0], weights.get(headWeight(config))?.[0]];
  return embedding !== undefined && head !== undefined && isFloat(embedding) && isFloat(head) && !sameValues(embedding, head);
}

function mismatches(weights: ReadonlyMap<string, StoredWeight>, { config, forms }: Described): string[] {
  const expected = weightShapes(config);
  const parts = new Set<string>();
  const problems: string[] = [];
  const compare = (found: StoredTensor | undefined, name: string, shape: readonly number[]): void => {
    if (found === undefined) {
      const isTied = name === headWeight(config) ? ', and tie_word_embeddings does not say that the embedding is the head' : '';
      problems.push(`tensor ${name} is missing${isTied}`);
      return;
    }
    const entry = entryOf(found);
    if (entry.shape.join() !== shape.join()) problems.push(`tensor ${name} is [${entry.shape}] where the configuration says [${shape}]`);
    else if (!isFloat(found)) problems.push(`tensor ${name} is of type ${entry.dtype}; weights are F64, F32, F16 or BF16`);
  };
  for (const [name, shape] of expected) {
    const found = weights.get(name);
    const form = forms.get(name) ?? [];
    for (const part of form) parts.add(part.name);
    const isInParts = found === undefined ? form.some((part) => weights.has(part.name)) : found.length > 1;
    if (isInParts) for (const [i, part] of form.entries()) compare(found?.[i] ?? weights.get(part.name)?.[0], part.name, part.shape);
    else compare(found?.[0], name, shape);
  }
  for (const name of weights.keys()) {
    const known =
      expected.has(name) ||
      parts.has(name) ||
      COMPUTED.test(name) ||
      isUnused(name, config) ||
      (config.tiedHead && name === headWeight(config)) ||
      isOfOtherTower(name, config);
    if (!known) problems.push(`tensor ${name} does not belong to this architecture`);
  }
  return problems;
}

const isFloat = (tensor: StoredTensor): boolean => ['F32', 'F16', 'BF16', 'F64'].includes(entryOf(tensor).dtype);

/** Weights named in one message. */
const NAMED_WEIGHTS = 5;

/** Looks at all weights, so that the message names every one that is broken. */
function nonFinite(modelDir: string, weights: ReadonlyMap<string, StoredWeight>, config: ModelConfig): Refusal {
  const parts = [...weightShapes(config).keys()].flatMap((name) => weights.get(name)!);
  const found = parts.flatMap((part) => {
    const { file, where, name: inFile } = part;
    const { shape } = entryOf(part);
    const held = new Float32Array(shapeSize(shape));
    const index = file.readInto(inFile, held);
    return index === -1 ? [] : [`tensor ${inFile} in ${where} holds ${held[index]} at ${placeOf(index, shape)}`];
  });
  const more = found.length > NAMED_WEIGHTS ? ` and ${found.length - NAMED_WEIGHTS} more tensors are broken in the same way` : '';
  return new Refusal('corrupt_model_file', `${modelDir} has weights that are not finite: ${found.slice(0, NAMED_WEIGHTS).join('; ')}${more}`, {
    param: 'model',
    hint: 'Download the file again. If the original has such values too, the model diverged while it was trained and cannot be used.',
  });
}

/** @returns e.g. `[3, 5]` for an element's index in row-major order */
function placeOf(index: number, shape: readonly number[]): string {
  let rest = index;
  const places = shape.toReversed().map((length) => {
    const place = rest % length;
    rest = Math.floor(rest / length);
    return place;
  });
  return `[${places.reverse().join(', ')}]`;
}
