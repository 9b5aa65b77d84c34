/** Exports for llama.cpp and what is built on it: a whole model, or an adapter that llama.cpp adds to one. */
import type { TemplateSources } from '../data/template/template-files.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { openLowRankAdapter, openMergedWeights, type TunedFiles } from '../export/merged-weights.ts';
import { readModelConfig } from '../model/weights.ts';
import { architectureOf } from './architecture.ts';
import { namedLayers, namedTensors } from './tensor-names.ts';
import { FILE_TYPES, type GgufType, typeOf } from './tensor-types.ts';
import { reorder } from './transforms.ts';
import { tokenizerMetadata } from './vocabulary.ts';
import { type GgufTensor, ggufBytes, type Metadata, type MetadataValue, writeGguf } from './write-file.ts';

/** Version of ggml's quantized types. */
const QUANTIZATION_VERSION = 2;

export interface GgufOptions {
  /** `general.name` */
  name: string;
  type: GgufType;
  /** Receives bytes written and in total. */
  progress?(bytes: number, total: number): Promise<void>;
}

export interface ModelGgufOptions extends GgufOptions {
  templates: TemplateSources | null;
  /** The model's. */
  tokenizer: Tokenizer;
}

/** What the user should know about a file. */
export interface GgufReport {
  warnings: string[];
  /** The longest text with which llama.cpp computes what the model does. */
  contextTokens: number;
}

/** @throws Refusal `unsupported_export` for a family or a tokenizer that llama.cpp does not have */
export async function exportModelGguf(files: TunedFiles, path: string, options: ModelGgufOptions): Promise<GgufReport> {
  const weights = openMergedWeights(files);
  try {
    const { config } = weights;
    const architecture = architectureOf(config);
    const vocabulary = await tokenizerMetadata(files.modelDir, { config, templates: options.templates, stops: options.tokenizer.stopTokenIds });
    const tensors = namedTensors(config, architecture).map(({ name, source, shape, convert }): GgufTensor => {
      const type = typeOf(name, shape, options.type);
      return { name, shape, type, read: () => convert(weights.read(source)) };
    });
    const factors = [...architecture.rotaryFactors].map(
      ([name, values]): GgufTensor => ({ name, shape: [values.length], type: 'f32', read: () => values }),
    );
    const metadata = new Map<string, MetadataValue>([
      ...general('model', { architecture: architecture.name, name: options.name }),
      ...architecture.hyperparameters,
      ['general.file_type', { u32: FILE_TYPES[options.type] }],
      ['general.quantization_version', { u32: QUANTIZATION_VERSION }],
      ...vocabulary.metadata,
    ]);
    await write(path, { metadata, tensors: [...factors, ...tensors] }, options);
    const { contextTokens } = architecture;
    const shorter = `llama.cpp computes what the model does up to ${contextTokens} tokens of its ${config.maxPositionTokens}, so the file declares these.`;
    return { contextTokens, warnings: [...vocabulary.warnings, ...(contextTokens < config.maxPositionTokens ? [shorter] : [])] };
  } finally {
    weights.close();
  }
}

/**
 * Holds the whole adapter in memory, which is small.
 * @throws Refusal `unsupported_export` for a family that llama.cpp does not have
 */
export async function exportAdapterGguf(
  { modelDir, adapterDir }: { modelDir: string; adapterDir: string },
  path: string,
  options: GgufOptions,
): Promise<GgufReport> {
  const config = readModelConfig(modelDir);
  const architecture = architectureOf(config);
  const layers = namedLayers(config, architecture);
  const adapter = openLowRankAdapter(adapterDir, { modelDir, config });
  try {
    // llama.cpp divides one lora_alpha by the rank of each layer, whatever the scaling was.
    const first = adapter.read(adapter.modules[0]!);
    const alpha = first.r * first.scaling;
    const tensors = adapter.modules.flatMap((module): GgufTensor[] => {
      const { name, rows } = layers.get(module)!;
      const { A, B: own, r, scaling } = adapter.read(module);
      const factor = (scaling * r) / alpha;
      const B = factor === 1 ? own : own.map((value) => value * factor);
      const [input, out] = [A.length / r, B.length / r];
      const tensor = (matrix: string, shape: readonly number[], values: Float32Array): GgufTensor => {
        const full = `${name}.lora_${matrix}`;
        return { name: full, shape, type: typeOf(full, shape, options.type), read: () => values };
      };
      return [tensor('a', [r, input], A), tensor('b', [out, r], reorder(B, out, rows))];
    });
    const metadata = new Map<string, MetadataValue>([
      ...general('adapter', { architecture: architecture.name, name: options.name }),
      ['adapter.type', { string: 'lora' }],
      ['adapter.lora.alpha', { f32: alpha }],
      ['general.file_type', { u32: FILE_TYPES[options.type] }],
      ['general.quantization_version', { u32: QUANTIZATION_VERSION }],
    ]);
    await write(path, { metadata, tensors }, options);
    return { contextTokens: architecture.contextTokens, warnings: [] };
  } finally {
    adapter.close();
  }
}

const general = (type: string, { architecture, name }: { architecture: string; name: string }): [string, MetadataValue][] => [
  ['general.architecture', { string: architecture }],
  ['general.type', { string: type }],
  ['general.name', { string: name }],
];

async function write(path: string, content: { metadata: Metadata; tensors: GgufTensor[] }, { progress }: GgufOptions): Promise<void> {
  const total = ggufBytes(content);
  await writeGguf(path, content, async (bytes) => progress?.(bytes, total));
}
