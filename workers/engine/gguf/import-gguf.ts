/** Makes a Hugging Face directory of a GGUF file: every value is the file's, and everything after that is as for any other model. */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFile } from '../../../src/formats/hashing.ts';
import { CONFIG_FILE, GENERATION_CONFIG_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { quantity } from '../../../src/formats/quantity.ts';
import type { Dtype } from '../../../src/formats/safetensors.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { TORCH_NAMES, type WeightsDtype } from '../../../src/formats/stored-dtype.ts';
import { DEFAULT } from '../data/template/template-files.ts';
import { writeFileWhole } from '../io/files.ts';
import { encodeFloats } from '../io/float-formats.ts';
import { writeGgufSource } from '../io/gguf-source.ts';
import { type CopiedTensor, writeSafetensorsSlowly } from '../io/safetensors.ts';
import { configOf, configText, type ReadConfig } from './config-of.ts';
import type { GgufMetadata } from './metadata.ts';
import { type GgufFile, openGguf } from './read-file.ts';
import { type NamedTensor, namedTensors } from './tensor-names.ts';
import type { StoredType } from './tensor-types.ts';
import { type ReadTokenizer, tokenizerOf } from './tokenizer-json.ts';

/** In which type a tensor is written: its own, or that of the values that a quantised one stands for, so that nothing is rounded. */
const DTYPES: Readonly<Partial<Record<StoredType, 'F16' | 'BF16'>>> = { f16: 'F16', bf16: 'BF16' };
const dtypeOf = (type: StoredType): WeightsDtype => DTYPES[type] ?? 'F32';

/** Tensors of settings, which config.json has. */
const SETTINGS = ['rope_freqs.weight', 'rope_factors_long.weight', 'rope_factors_short.weight'];

export interface GgufModel extends ReadConfig {
  /** As `json` with the type of most weights. */
  configJson: Record<string, unknown>;
  /** What is written, by llama.cpp's names. */
  tensors: NamedTensor[];
  parameters: number;
}

/**
 * What is in an open file, by its header alone.
 * @throws Refusal `unsupported_architecture`, `corrupt_model_file` that names every missing, misshapen and unknown tensor
 */
export function describeGguf(file: GgufFile): GgufModel {
  const { json, config, architecture } = configOf(file);
  const tensors = namedTensors(config, architecture);
  const problems: string[] = [];
  const elements = { F32: 0, F16: 0, BF16: 0 };
  for (const { name, shape } of tensors) {
    const found = file.tensors.get(name);
    if (found === undefined) problems.push(`the tensor ${name} is missing`);
    else if (!isShape(found.shape, shape)) problems.push(`the tensor ${name} is [${found.shape}], not [${shape}]`);
    else elements[dtypeOf(found.type)] += shapeSize(shape);
  }
  const known = new Set([...tensors.map(({ name }) => name), ...SETTINGS]);
  for (const name of file.tensors.keys()) if (!known.has(name)) problems.push(`the tensor ${name.slice(0, 100)} is of no use in this architecture`);
  if (problems.length > 0)
    throw file.metadata.wrong(
      `${quantity(problems.length, 'tensor')} are not those that its metadata describe: ${problems.slice(0, 5).join('; ')}${problems.length > 5 ? '; …' : ''}`,
    );
  const [[dtype]] = Object.entries(elements).sort(([, a], [, b]) => b - a) as [[WeightsDtype, number]];
  const parameters = elements.F32 + elements.F16 + elements.BF16;
  return { json, config, architecture, tensors, parameters, configJson: { ...json, dtype: TORCH_NAMES[dtype] } };
}

interface ImportOptions {
  sha256?: string;
  progress?(bytes: number, total: number): Promise<void>;
}

const isShape = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join();

/**
 * Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json, generation_config.json, and which file it was. The directory appears
 * complete or not at all; no more than one tensor is in memory.
 * @param dir             does not exist yet
 * @param options.sha256   the file's, if it is known
 * @param options.progress receives bytes written and in total
 * @throws Refusal as `describeGguf`, before anything is written
 */
export async function importGguf(path: string, dir: string, { sha256, progress = async () => {} }: ImportOptions = {}): Promise<void> {
  const file = openGguf(path);
  const partial = `${dir}.partial`;
  try {
    const model = describeGguf(file);
    const tokenizer = tokenizerOf(file, model.config.vocabSize);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const write = (name: string, value: unknown): void => writeFileWhole(join(partial, name), `${JSON.stringify(value, null, 2)}\n`);
    writeFileWhole(join(partial, CONFIG_FILE), configText(model.configJson));
    writeFileWhole(join(partial, TOKENIZER_FILE), JSON.stringify(tokenizer.json));
    write(TOKENIZER_CONFIG_FILE, tokenizerConfig(file.metadata, tokenizer, model.config.maxPositionTokens));
    write(GENERATION_CONFIG_FILE, generationConfig(file.metadata));
    writeGgufSource(partial, { name: basename(path), bytes: (await stat(path)).size, sha256: sha256 ?? (await hashFile(path)) });
    await writeWeights(file, model, join(partial, WEIGHTS_FILE), progress);
    await rename(partial, dir);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    file.close();
  }
}

async function writeWeights(
  file: GgufFile,
  { tensors }: GgufModel,
  path: string,
  progress: (bytes: number, total: number) => Promise<void>,
): Promise<void> {
  const shapes = new Map<string, readonly number[]>();
  const copied = new Map<string, CopiedTensor>();
  const restored = new Map<string, () => Float32Array>();
  for (const { name, source, sourceShape, restore } of tensors) {
    const dtype = dtypeOf(file.tensors.get(name)!.type);
    const values = (): Float32Array => restore(file.read(name));
    restored.set(source, values);
    if (dtype === 'F32') shapes.set(source, sourceShape);
    else copied.set(source, inType(values, dtype, sourceShape));
  }
  await writeSafetensorsSlowly(path, { shapes, read: (name) => restored.get(name)!(), copied }, { dtype: 'F32', progress });
}

/** A tensor that is encoded when its first bytes are read, and forgotten after its last. */
function inType(values: () => Float32Array, dtype: 'F16' | 'BF16', shape: readonly number[]): CopiedTensor {
  const byteLength = 2 * shapeSize(shape);
  let encoded: Uint8Array | null = null;
  return {
    dtype: dtype satisfies Dtype,
    shape,
    byteLength,
    readInto(bytes, first) {
      encoded ??= encodeFloats(values(), dtype);
      bytes.set(encoded.subarray(first, first + bytes.length));
      if (first + bytes.length === byteLength) encoded = null;
    },
  };
}

function tokenizerConfig(metadata: GgufMetadata, { special }: ReadTokenizer, maxTokens: number): Record<string, unknown> {
  const templates = templatesOf(metadata);
  const [[, only] = []] = templates;
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...special,
    model_max_length: maxTokens,
    clean_up_tokenization_spaces: false,
    ...(templates.length > 0 && {
      chat_template: templates.length === 1 ? only : templates.map(([name, template]) => ({ name, template })),
    }),
  };
}

const TEMPLATE = 'tokenizer.chat_template';

/** Chat templates by name. */
function templatesOf(metadata: GgufMetadata): [name: string, source: string][] {
  const keys = [...metadata.keys()].filter((key) => key === TEMPLATE || key.startsWith(`${TEMPLATE}.`));
  return keys.map((key) => [key === TEMPLATE ? DEFAULT : key.slice(TEMPLATE.length + 1), metadata.text(key)!]);
}

/** llama.cpp stops at each of these tokens. */
function generationConfig(metadata: GgufMetadata): Record<string, unknown> {
  const id = (name: string) => metadata.natural(`tokenizer.ggml.${name}_token_id`);
  const stops = new Set(['eos', 'eot', 'eom'].map(id).filter((stop) => stop !== null));
  const ids = { bos_token_id: id('bos'), pad_token_id: id('padding') };
  return { ...Object.fromEntries(Object.entries(ids).filter(([, value]) => value !== null)), ...(stops.size > 0 && { eos_token_id: [...stops] }) };
}
