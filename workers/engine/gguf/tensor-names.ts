/** llama.cpp's names of a model's tensors, and how they differ from the checkpoint's. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { headWeight, linearLayers, weightShapes } from '../../../src/formats/module-shapes.ts';
import { inHeadParts, interleaved, minusOne, plusOne, type RowOrder, reorder, restore, transposed } from './transforms.ts';

export interface NamedTensor {
  /** llama.cpp's. */
  name: string;
  /** The checkpoint's. */
  source: string;
  /** In the file. */
  shape: readonly number[];
  /** In the checkpoint. */
  sourceShape: readonly number[];
  /** From the checkpoint's values to the file's. */
  convert(values: Float32Array): Float32Array;
  /** From the file's values to the checkpoint's. */
  restore(values: Float32Array): Float32Array;
}

/** A linear layer of the blocks: what an adapter's matrices are named by, and how the rows of its output are ordered. */
export interface NamedLayer {
  /** llama.cpp's, with `.weight`. */
  name: string;
  rows: RowOrder;
}

const asIs = (values: Float32Array): Float32Array => values;

interface Modules {
  /** Whether queries and keys are stored with the two halves of each rotated pair beside each other. */
  interleaves: boolean;
}

/** llama.cpp's names of the modules inside a block. */
function blockModules({ names }: ModelConfig): Map<string, string> {
  const { attention, mlp, norms } = names;
  const modules = new Map<string, string>([
    [attention.output, 'attn_output'],
    ...(attention.norms === null
      ? []
      : ([
          [attention.norms.query, 'attn_q_norm'],
          [attention.norms.key, 'attn_k_norm'],
        ] as const)),
    [mlp.down, 'ffn_down'],
  ]);
  if ('fused' in attention) modules.set(attention.fused, 'attn_qkv');
  else modules.set(attention.query, 'attn_q').set(attention.key, 'attn_k').set(attention.value, 'attn_v');
  if ('gateAndUp' in mlp) modules.set(mlp.gateAndUp, 'ffn_up');
  if ('gate' in mlp) modules.set(mlp.gate, 'ffn_gate');
  if ('up' in mlp) modules.set(mlp.up, 'ffn_up');
  const ofNorms = { beforeAttention: 'attn_norm', afterAttention: 'post_attention_norm', beforeMlp: 'ffn_norm', afterMlp: 'post_ffw_norm' } as const;
  for (const [place, name] of Object.entries(ofNorms)) {
    const module = norms[place as keyof typeof ofNorms];
    if (module !== null) modules.set(module, name);
  }
  return modules;
}

/** llama.cpp's name of a module. */
function moduleNames(config: ModelConfig): (module: string) => string {
  const { names } = config;
  const inBlock = blockModules(config);
  const outside = new Map<string, string>([
    [names.embedding, 'token_embd'],
    [names.finalNorm, 'output_norm'],
    [names.head, 'output'],
    ...(names.positions === null ? [] : [[names.positions, 'position_embd'] as const]),
  ]);
  return (module) => {
    const known = outside.get(module);
    if (known !== undefined) return known;
    const [, block, rest] = /^(\d+)\.(.+)$/.exec(module.slice(names.blocks.length + 1)) ?? [];
    const name = rest === undefined ? undefined : inBlock.get(rest);
    if (name === undefined) throw new Error(`llama.cpp has no name for ${module}`);
    return `blk.${block}.${name}`;
  };
}

function rowsOf(module: string, config: ModelConfig, { interleaves }: Modules): RowOrder {
  const { attention } = config.names;
  if ('fused' in attention) {
    if (attention.order === 'heads' && module.endsWith(`.${attention.fused}`)) return inHeadParts(config.heads);
    return null;
  }
  if (!interleaves) return null;
  if (module.endsWith(`.${attention.query}`)) return interleaved(config.heads);
  return module.endsWith(`.${attention.key}`) ? interleaved(config.kvHeads) : null;
}

/** The linear layers of the blocks, by their names in the checkpoint. */
export function namedLayers(config: ModelConfig, modules: Modules): Map<string, NamedLayer> {
  const nameOf = moduleNames(config);
  return new Map(
    [...linearLayers(config).keys()].map((module) => [module, { name: `${nameOf(module)}.weight`, rows: rowsOf(module, config, modules) }]),
  );
}

/**
 * Every tensor of a model in the order of its layers.
 * @param options.needsHead whether llama.cpp wants the head of a model that has tied it to the embedding
 */
export function namedTensors(config: ModelConfig, options: Modules & { needsHead: boolean }): NamedTensor[] {
  const nameOf = moduleNames(config);
  const linears = linearLayers(config);
  const tensors = [...weightShapes(config)].map(([source, shape]): NamedTensor => {
    const [module, kind] = [source.slice(0, source.lastIndexOf('.')), source.slice(source.lastIndexOf('.'))];
    const name = `${nameOf(module)}${kind}`;
    const same = { name, source, shape, sourceShape: shape };
    if (!linears.has(module)) {
      const isShifted = shape.length === 1 && kind === '.weight' && config.norm.offset === 1;
      return { ...same, convert: isShifted ? plusOne : asIs, restore: isShifted ? minusOne : asIs };
    }
    const rows = rowsOf(module, config, options);
    const isTransposed = config.inputFirst && shape.length === 2;
    const stored = isTransposed ? shape.toReversed() : shape;
    return {
      name,
      source,
      shape: stored,
      sourceShape: shape,
      convert: (values) => reorder(isTransposed ? transposed(values, shape) : values, stored[0]!, rows),
      restore(values) {
        const ordered = restore(values, stored[0]!, rows);
        return isTransposed ? transposed(ordered, stored) : ordered;
      },
    };
  });
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight')!;
  const needsCopy = options.needsHead && config.tiedHead && !tensors.some(({ source }) => source === headWeight(config));
  return needsCopy ? [...tensors, { ...embedding, name: 'output.weight' }] : tensors;
}
