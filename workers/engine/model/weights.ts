/** A base model's weights: their names and shapes, and reading them from a Hugging Face directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../../src/formats/input-error.ts';
import { type ModelConfig, parseModelConfig } from '../../../src/formats/model-config.ts';
import { readJson } from '../io/files.ts';
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.ts';
import { type Tensor, tf } from '../tensorflow.ts';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

const HINT = 'Is this a Hugging Face model directory?';

/** Left over in old checkpoints; computed from the configuration. */
const COMPUTED = /\.rotary_emb\.inv_freq$/;

export function readModelConfig(modelDir: string): ModelConfig {
  const path = join(modelDir, 'config.json');
  return parseModelConfig(readJson(path, HINT), path);
}

/** The linear layers of the blocks, and their shapes [out, in]: what `all-linear` means to PEFT, which leaves the head out. */
export function linearShapes(config: ModelConfig): Map<string, [number, number]> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headSize } = config;
  const shapes = new Map<string, [number, number]>();
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    shapes.set(`${layer}.self_attn.q_proj`, [heads * headSize, hiddenSize]);
    shapes.set(`${layer}.self_attn.k_proj`, [kvHeads * headSize, hiddenSize]);
    shapes.set(`${layer}.self_attn.v_proj`, [kvHeads * headSize, hiddenSize]);
    shapes.set(`${layer}.self_attn.o_proj`, [hiddenSize, heads * headSize]);
    shapes.set(`${layer}.mlp.gate_proj`, [intermediateSize, hiddenSize]);
    shapes.set(`${layer}.mlp.up_proj`, [intermediateSize, hiddenSize]);
    shapes.set(`${layer}.mlp.down_proj`, [hiddenSize, intermediateSize]);
  }
  return shapes;
}

/** Every weight's name in the checkpoint, and its shape. */
export function weightShapes(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize, vocabSize } = config;
  const shapes = new Map<string, number[]>([
    ['model.embed_tokens.weight', [vocabSize, hiddenSize]],
    ['model.norm.weight', [hiddenSize]],
  ]);
  if (!config.tiedHead) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  for (let i = 0; i < config.layers; i++) {
    shapes.set(`model.layers.${i}.input_layernorm.weight`, [hiddenSize]);
    shapes.set(`model.layers.${i}.post_attention_layernorm.weight`, [hiddenSize]);
  }
  for (const [module, [out, into]] of linearShapes(config)) {
    shapes.set(`${module}.weight`, [out, into]);
    if (module.includes('.self_attn.') ? config.attentionBias : config.mlpBias) shapes.set(`${module}.bias`, [out]);
  }
  return shapes;
}

/**
 * Reads `model.safetensors`, or the shards its index names, as f32.
 * @returns every weight of `weightShapes`; the caller owns the tensors
 * @throws InputError `corrupt_model_file` telling every missing, misshapen and unknown tensor at once
 */
export function loadWeights(modelDir: string, config: ModelConfig): Map<string, Tensor> {
  const files = openFiles(modelDir);
  const weights = new Map<string, Tensor>();
  try {
    const holder = new Map<string, SafetensorsFile>();
    for (const file of files) for (const name of file.header.tensors.keys()) holder.set(name, file);
    const expected = weightShapes(config);
    const problems = mismatches(expected, holder, config);
    if (problems.length > 0) {
      throw new InputError('corrupt_model_file', `${modelDir} is not the model its config.json describes: ${problems.join('; ')}`, {
        param: 'model',
        hint: 'Download or export the directory again, whole.',
      });
    }
    for (const [name, shape] of expected) weights.set(name, tf.tensor(holder.get(name)!.read(name).data as Float32Array, shape, 'float32'));
    return weights;
  } catch (error) {
    tf.dispose([...weights.values()]);
    throw error;
  } finally {
    for (const file of files) file.close();
  }
}

function mismatches(expected: ReadonlyMap<string, number[]>, holder: ReadonlyMap<string, SafetensorsFile>, config: ModelConfig): string[] {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const entry = holder.get(name)?.header.tensors.get(name);
    if (entry === undefined) problems.push(`tensor ${name} is missing`);
    else if (entry.shape.join() !== shape.join()) problems.push(`tensor ${name} is [${entry.shape}] where the configuration says [${shape}]`);
    else if (!['F32', 'F16', 'BF16', 'F64'].includes(entry.dtype))
      problems.push(`tensor ${name} is of type ${entry.dtype}; weights are F32, F16 or BF16`);
  }
  for (const name of holder.keys()) {
    const known = expected.has(name) || COMPUTED.test(name) || (config.tiedHead && name === 'lm_head.weight');
    if (!known) problems.push(`tensor ${name} is none of this architecture's`);
  }
  return problems;
}

function openFiles(modelDir: string): SafetensorsFile[] {
  const single = join(modelDir, SINGLE_FILE);
  if (existsSync(single)) return [openSafetensors(single)];
  const index = join(modelDir, INDEX_FILE);
  if (!existsSync(index)) {
    throw new InputError('corrupt_model_file', `${modelDir} has neither ${SINGLE_FILE} nor ${INDEX_FILE}`, {
      param: 'model',
      hint: 'Weights are read from safetensors alone.',
    });
  }
  const { weight_map: weightMap } = readJson(index, HINT) as { weight_map?: Record<string, unknown> };
  const names = [...new Set(Object.values(weightMap ?? {}))];
  const unsafe = names.find((name) => typeof name !== 'string' || name.includes('/') || name.includes('\\'));
  if (names.length === 0 || unsafe !== undefined) {
    throw new InputError('corrupt_model_file', `${index} names ${unsafe === undefined ? 'no file' : `the file ${JSON.stringify(unsafe)}`}`, {
      param: 'model',
    });
  }
  const missing = names.filter((name) => !existsSync(join(modelDir, name as string)));
  if (missing.length > 0) {
    throw new InputError('corrupt_model_file', `${modelDir} lacks ${missing.join(', ')}, which ${INDEX_FILE} names`, { param: 'model' });
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
