/** PEFT adapter directories: `adapter_config.json`, `adapter_model.safetensors` and a model card. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import type { Quantization } from '../../../src/formats/quantization.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { beginOf, deliveredLora } from '../../../src/formats/tuning/lora.ts';
import { onExperts } from '../../../src/formats/tuning/lora-experts.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';
import { lastParts, loraLayers } from '../../../src/formats/tuning/lora-layers.ts';
import { savingWhole, trainedWeights } from '../../../src/formats/tuning/lora-weights.ts';
import type { TensorValues, TunedModel } from '../tuning/tuned-model.ts';
import { adapterCard, CARD_FILE } from './adapter-card.ts';
import { adapterConfigJson, parseAdapterConfig } from './adapter-config.ts';
import { readJson, writeFileWhole } from './files.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

/** Hint for a file missing from an adapter directory. */
export const ADAPTER_DIRECTORY_HINT = 'Is this a PEFT adapter directory?';

interface AdapterOptions {
  tuning: ResolvedLora;
  /** PEFT's `base_model_name_or_path`. */
  baseModelName: string;
  /** PEFT's `revision`. */
  baseModelRevision?: string | null;
  /** `TunedBase.ggufFile` */
  ggufFile?: string | null;
  /** How its frozen weights were held in training; default: not quantised. */
  quantization?: Quantization | undefined;
}

/**
 * Writes the adapter in f32, so that PEFT loads it.
 * @param model a model whose tensors have PEFT's names: A [r, in], B [out, r]
 * @returns the file names written
 */
export function saveAdapter(
  model: Pick<TunedModel, 'config' | 'read' | 'constants'>,
  dir: string,
  { tuning, baseModelName, baseModelRevision = null, ggufFile = null, quantization }: AdapterOptions,
): string[] {
  mkdirSync(dir, { recursive: true });
  writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), adapterTensors(model, tuning));
  const delivered = deliveredLora(onExperts(model.config, tuning));
  const written = adapterConfigJson(
    { ...savingWhole(model.config, delivered), target_modules: targetNames(model.config, delivered) },
    { name: baseModelName, revision: baseModelRevision, inputFirst: model.config.inputFirst },
  );
  writeFileWhole(join(dir, ADAPTER_CONFIG_FILE), `${JSON.stringify(written, null, 2)}\n`);
  writeFileWhole(
    join(dir, CARD_FILE),
    adapterCard(
      { name: baseModelName, revision: baseModelRevision, ggufFile, quantization },
      {
        rankStabilised: delivered.use_rslora ? delivered.r : null,
        isMultimodal: model.config.otherTowers !== undefined,
      },
    ),
  );
  return [CARD_FILE, ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
}

/** @throws Refusal `unsupported_adapter` for whatever would change the maths, `corrupt_model_file` for what cannot be read */
export function readAdapterConfig(dir: string): ResolvedLora {
  const path = join(dir, ADAPTER_CONFIG_FILE);
  return parseAdapterConfig(readJson(path, ADAPTER_DIRECTORY_HINT), path);
}

/** @returns what is trained under PEFT's names, with what is frozen beside it as one update */
function adapterTensors(model: Pick<TunedModel, 'config' | 'read' | 'constants'>, tuning: ResolvedLora): Map<string, TensorValues> {
  const weights = trainedWeights(model.config, tuning);
  const constants = model.constants();
  const [layer] = loraLayers(model.config, tuning).values(); // what is frozen beside one layer is so beside all, with one factor
  const factor = beginOf(tuning, layer!)?.factor ?? 1;
  const tensors = new Map<string, TensorValues>();
  for (const [name, values] of model.read()) {
    const begin = constants.get(name.replace(/\.lora_([AB])\./, '.lora_begin_$1.'));
    const isB = name.includes('.lora_B.');
    tensors.set(weights.get(name) ?? name, begin === undefined ? values : isB ? beside(values, begin, factor) : above(values, begin));
  }
  return tensors;
}

/** [A; A₀] */
function above({ shape: [r, input], data }: TensorValues, begin: TensorValues): TensorValues {
  const joined = new Float32Array(data.length + begin.data.length);
  joined.set(data);
  joined.set(begin.data, data.length);
  return { shape: [r! + begin.shape[0]!, input!], data: joined };
}

/** [B, factor·B₀] */
function beside({ shape: [out, r], data }: TensorValues, { shape: [, r0], data: begin }: TensorValues, factor: number): TensorValues {
  const columns = r! + r0!;
  const joined = new Float32Array(out! * columns);
  for (let row = 0; row < out!; row++) {
    joined.set(data.subarray(row * r!, (row + 1) * r!), row * columns);
    for (let column = 0; column < r0!; column++) joined[row * columns + r! + column] = factor * begin[row * r0! + column]!;
  }
  return { shape: [out!, columns], data: joined };
}

/** PEFT saves the base's own matrix with an adapted head or embedding, in case it had been resized. */
const OWN_MATRIX = /^base_model\.model\.(.+)\.base_layer\.weight$/;

/** Sets what LoRA trains to the values in an adapter directory. @throws Refusal as `loadAdapter` */
export function loadLoraAdapter(model: Pick<TunedModel, 'config' | 'trainable' | 'assign'>, dir: string): void {
  const base = weightShapes(model.config);
  const isSpare = (name: string, shape: readonly number[]): boolean => base.get(`${OWN_MATRIX.exec(name)?.[1]}.weight`)?.join() === shape.join();
  loadAdapter(model, dir, { fileNames: trainedWeights(model.config, readAdapterConfig(dir)), isSpare });
}

/** @param path the adapter's safetensors file */
export const doesNotFit = (path: string, problems: readonly string[]): Refusal =>
  new Refusal('corrupt_model_file', `${path} does not fit the base model: ${problems.join('; ')}`, {
    param: 'model',
    hint: 'Was the adapter trained on another base model?',
  });

interface Naming {
  /** Names in the file, where they differ. */
  fileNames?: ReadonlyMap<string, string>;
  /** Whether a tensor that is not trained may be in the file. */
  isSpare?(name: string, shape: readonly number[]): boolean;
}

/**
 * Sets what a model trains to the values in an adapter directory.
 * @throws Refusal `corrupt_model_file` naming every missing, misshapen or unknown tensor
 */
export function loadAdapter(
  model: Pick<TunedModel, 'trainable' | 'assign'>,
  dir: string,
  { fileNames = new Map(), isSpare = () => false }: Naming = {},
): void {
  const inFile = (name: string): string => fileNames.get(name) ?? name;
  const trainable = new Map([...model.trainable].map(([name, one]) => [inFile(name), one]));
  const path = join(dir, ADAPTER_WEIGHTS_FILE);
  const file = openSafetensors(path);
  try {
    const problems: string[] = [];
    for (const [name, { shape }] of trainable) {
      const entry = file.header.tensors.get(name);
      if (entry === undefined) problems.push(`tensor ${name} is missing`);
      else if (entry.shape.join() !== shape.join()) problems.push(`tensor ${name} is [${entry.shape}] where the model needs [${shape}]`);
    }
    for (const [name, { shape }] of file.header.tensors)
      if (!trainable.has(name) && !isSpare(name, shape)) problems.push(`tensor ${name} does not belong to the model`);
    if (problems.length > 0) throw doesNotFit(path, problems);
    model.assign(new Map([...model.trainable.keys()].map((name) => [name, file.read(inFile(name)).data as Float32Array])));
  } finally {
    file.close();
  }
}

/**
 * PEFT matches the end of a name, so `all-linear` is written as the last parts of the layers' names. Other selections are written as whole names: a
 * regular expression may also match modules that are not layers, such as activations, and PEFT would refuse the adapter. So is every selection of a
 * multimodal model's layers, because PEFT looks for a name's end in all of its towers.
 */
function targetNames(config: ModelConfig, tuning: ResolvedLora): string[] {
  const { target_modules: targets, exclude_modules: excluded, layers_to_transform: layers } = tuning;
  const modules = [...loraLayers(config, tuning)].flatMap(([module, { experts }]) => (experts === undefined ? [module] : []));
  const isPlain = excluded === undefined && layers === undefined && config.otherTowers === undefined;
  if (isPlain && targets === ALL_LINEAR) return lastParts(modules);
  return isPlain && typeof targets !== 'string' ? targets : modules;
}
