/** Which models llama.cpp can run as they are, under which of its names, and with which hyperparameters. */
import { softmaxLayers } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { rotaryHyperparameters } from './rotary.ts';
import type { MetadataValue } from './write-file.ts';

export interface Architecture {
  /** `general.architecture` */
  name: string;
  /** Whether queries and keys are stored interleaved (`interleaved`). */
  interleaves: boolean;
  /** Whether llama.cpp wants the head even if it is the embedding. */
  needsHead: boolean;
  /** Most tokens that llama.cpp computes as the checkpoint says. */
  contextTokens: number;
  /** Metadata, by key. */
  hyperparameters: Map<string, MetadataValue>;
  /** Factors that rotary frequencies are divided by, by tensor. */
  rotaryFactors: Map<string, Float32Array>;
}

interface Family {
  name: string;
  interleaves?: boolean;
  needsHead?: boolean;
  /** Also has sliding windows in llama.cpp: every layer but those whose number is a multiple of this. */
  windowPeriod?: number;
  /** What llama.cpp assumes of such models and does not read from the file: reasons why this one cannot be exported. */
  problems?(config: ModelConfig): (string | false)[];
  more?(config: ModelConfig): [string, MetadataValue][];
}

const noBiases = ({ attention, mlp }: ModelConfig) => [
  (attention.inputBias || attention.outputBias) && 'its attention has biases',
  mlp.bias && 'its MLP has biases',
];
const softCaps = ({ attention, logitSoftCap }: ModelConfig): [string, MetadataValue][] => [
  ...(attention.softCap === null ? [] : [['attn_logit_softcapping', { f32: attention.softCap }] as [string, MetadataValue]]),
  ...(logitSoftCap === null ? [] : [['final_logit_softcapping', { f32: logitSoftCap }] as [string, MetadataValue]]),
];
const untied = ({ tiedHead }: ModelConfig) => !tiedHead && 'its head differs from its embedding';
const ownScale = ({ attention, headSize }: ModelConfig) =>
  Math.abs(attention.scale * Math.sqrt(headSize) - 1) > 1e-6 && `its attention is scaled by ${attention.scale}, not by 1 / √${headSize}`;

/** Transformers rotates every layer but each fourth one, or those that the file names. */
const everyFourthRests = (config: ModelConfig) =>
  softmaxLayers(config).some(({ rotary }, layer) => (rotary !== null) !== ((layer + 1) % 4 !== 0)) &&
  'layers without rotary positions are not every fourth one';

/** By `model_type`. */
const FAMILIES: Readonly<Record<string, Family>> = {
  llama: { name: 'llama', interleaves: true, problems: (config) => [ownScale(config)] },
  mistral: { name: 'llama', interleaves: true, problems: (config) => [ownScale(config)] },
  smollm3: { name: 'smollm3', interleaves: true, problems: (config) => [everyFourthRests(config)] },
  qwen2: {
    name: 'qwen2',
    problems: ({ attention, mlp }) => [attention.outputBias && 'its attention output has a bias', mlp.bias && 'its MLP has biases'],
  },
  qwen3: { name: 'qwen3', problems: noBiases },
  gemma: { name: 'gemma', problems: (config) => [...noBiases(config), untied(config), ownScale(config)] },
  gemma2: {
    name: 'gemma2',
    windowPeriod: 2,
    problems: (config) => [
      ...noBiases(config),
      untied(config),
      ownScale(config),
      config.attention.softCap === null && 'its attention scores are not capped',
      config.logitSoftCap === null && 'its logits are not capped',
    ],
    more: softCaps,
  },
  gemma3_text: { name: 'gemma3', windowPeriod: 6, problems: (config) => [...noBiases(config), ownScale(config)], more: softCaps },
  phi3: {
    name: 'phi3',
    problems: (config) => [...noBiases(config), ownScale(config)],
    // Without the key, some versions of llama.cpp take windows for granted.
    more: () => [['attention.sliding_window', { u32: 0 }]],
  },
  gpt2: { name: 'gpt2', problems: (config) => [ownScale(config)] },
  gpt_neox: {
    name: 'gptneox',
    needsHead: true,
    problems: ({ attention }) => [!attention.inputBias && 'its attention has no biases'],
    more: ({ parallelResidual }) => [['use_parallel_residual', { bool: parallelResidual }]],
  },
  olmo2: {
    name: 'olmo2',
    needsHead: true,
    problems: (config) => [...noBiases(config), config.headSize * config.heads !== config.hiddenSize && 'its heads are not as wide as the model'],
  },
};

/** A family by llama.cpp's name of it. */
export interface NamedFamily {
  /** `model_type` of the checkpoint; of several with the same name in llama.cpp, the plainest. */
  modelType: string;
  /** Every layer but those whose number is a multiple of this has a sliding window; null if none has. */
  windowPeriod: number | null;
}

const BY_NAME: ReadonlyMap<string, NamedFamily> = new Map(
  Object.entries(FAMILIES)
    .toReversed()
    .map(([modelType, { name, windowPeriod = null }]) => [name, { modelType, windowPeriod }]),
);

export const familyNamed = (architecture: string): NamedFamily | null => BY_NAME.get(architecture) ?? null;
/** llama.cpp's names of all families that are read and written. */
export const ARCHITECTURES: readonly string[] = [...BY_NAME.keys()].toReversed();

/** The activations that llama.cpp computes; its GELU is always the tanh approximation, in 16 bits on processors. */
const activationProblem = ({ modelType, mlp }: ModelConfig): string | false => {
  const isGelu = modelType.startsWith('gemma') || modelType.startsWith('gpt');
  return isGelu === (mlp.activation === 'silu') && `its activation is ${mlp.activation}`;
};

/** @throws Refusal `unsupported_export` that names the family, or what in it llama.cpp computes differently */
export function architectureOf(config: ModelConfig): Architecture {
  const family = FAMILIES[config.modelType];
  if (family === undefined) throw refusal(config, `llama.cpp has no "${config.modelType}" that Graft knows of`);
  const { name, interleaves = false, needsHead = false, problems = () => [], more = () => [], windowPeriod } = family;
  const rotary = rotaryHyperparameters(config, name);
  const windows = windowsOf(config, windowPeriod);
  const found = [...problems(config), activationProblem(config), ...rotary.problems, ...windows.problems].filter((problem) => problem !== false);
  if (found.length > 0) throw refusal(config, `llama.cpp would compute another model: ${found.join('; ')}`);
  const contextTokens = Math.min(config.maxPositionTokens, rotary.contextTokens, windows.contextTokens);
  return {
    name,
    interleaves,
    needsHead,
    contextTokens,
    hyperparameters: new Map(
      [...commonHyperparameters(config, contextTokens), ...rotary.values, ...windows.values, ...more(config)].map(([key, value]) => [
        `${name}.${key}`,
        value,
      ]),
    ),
    rotaryFactors: rotary.factors,
  };
}

function commonHyperparameters(config: ModelConfig, contextTokens: number): [string, MetadataValue][] {
  const { norm, headSize } = config;
  return [
    ['vocab_size', { u32: config.vocabSize }],
    ['context_length', { u32: contextTokens }],
    ['embedding_length', { u32: config.hiddenSize }],
    ['block_count', { u32: config.layers }],
    ['feed_forward_length', { u32: config.intermediateSize }],
    ['attention.head_count', { u32: config.heads }],
    ['attention.head_count_kv', { u32: config.kvHeads }],
    ['attention.key_length', { u32: headSize }],
    ['attention.value_length', { u32: headSize }],
    [`attention.layer_norm${norm.kind === 'rms' ? '_rms' : ''}_epsilon`, { f32: norm.epsilon }],
  ];
}

/**
 * A family without windows in llama.cpp is the same model up to the window's length.
 * @param period in a family with windows, every layer has one but those whose number is a multiple of it
 */
function windowsOf(config: ModelConfig, period: number | undefined) {
  const windows = softmaxLayers(config).map(({ windowTokens }) => windowTokens);
  const smallest = Math.min(...windows.map((window) => window ?? Number.POSITIVE_INFINITY));
  const unlimited = { contextTokens: Number.POSITIVE_INFINITY, values: [] as [string, MetadataValue][], problems: [] as string[] };
  if (period === undefined) return { ...unlimited, contextTokens: smallest };
  const fits = windows.every((window, layer) => window === ((layer + 1) % period === 0 ? null : smallest));
  if (!fits) return { ...unlimited, problems: [`its layers with a sliding window are not all but every ${period}th`] };
  return { ...unlimited, values: [['attention.sliding_window', { u32: smallest }] as [string, MetadataValue]] };
}

const refusal = ({ modelType }: ModelConfig, message: string): Refusal =>
  new Refusal('unsupported_export', `A model of the type "${modelType}" cannot be exported as GGUF: ${message}`, {
    param: 'format',
    hint: `Export a Hugging Face directory ("hugging_face"). GGUF is possible for ${Object.keys(FAMILIES).join(', ')}.`,
  });
