/** The optimizer of a run, by the names that transformers' Trainer has for it. */
import { type Static, Type } from 'typebox';
import type { ModelConfig } from './model-config.ts';
import { PROMPT_EMBEDDINGS } from './tuning/virtual-tokens.ts';

const Optim = Type.Union([Type.Literal('adamw_torch'), Type.Literal('adamw_8bit')], {
  default: 'adamw_torch',
  description:
    "AdamW. adamw_8bit is bitsandbytes': it holds both moments of each parameter in 8 bits instead of 32, but for small tensors and embeddings. On a CPU only.",
});
export type Optim = Static<typeof Optim>;

const OptimizerFields = Type.Object({ optim: Type.Optional(Optim) });
export type OptimizerFields = Static<typeof OptimizerFields>;
export const optimizerFields = OptimizerFields.properties;

/** Smaller tensors keep moments in f32: bitsandbytes' `min_8bit_size`. */
const LEAST_8BIT_ELEMENTS = 4096;
/** Elements that share a scale. */
export const BLOCK_ELEMENTS = 256;

/** @returns how many blocks the moments of a tensor have */
export const blocksOf = (elements: number): number => Math.ceil(elements / BLOCK_ELEMENTS);

/**
 * Which tensors have moments in 8 bits: those that bitsandbytes and transformers' Trainer, which leaves `nn.Embedding` out, hold so.
 * @returns for a tensor's name, as the run trains it, and its shape
 */
export function momentsIn8Bits(optim: Optim, { names }: ModelConfig): (name: string, shape: readonly number[]) => boolean {
  if (optim !== 'adamw_8bit') return () => false;
  const tables = [names.embedding, names.positions, names.perLayerInputs?.embedding].flatMap((module) =>
    module == null ? [] : [`${module}.weight`],
  );
  const isEmbedding = (name: string) => name === PROMPT_EMBEDDINGS || tables.some((table) => name === table || name.endsWith(`.${table}`));
  return (name, shape) => shape.reduce((product, length) => product * length, 1) >= LEAST_8BIT_ELEMENTS && !isEmbedding(name);
}
