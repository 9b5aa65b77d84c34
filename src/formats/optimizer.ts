/** The optimizer of a run, by the names that transformers' Trainer has for it. */
import { type Static, Type } from 'typebox';
import type { ModelConfig } from './model-config.ts';
import { Refusal } from './refusal.ts';
import { shapeSize } from './shape-size.ts';
import { PROMPT_EMBEDDINGS } from './tuning/virtual-tokens.ts';

const Optim = Type.Union([Type.Literal('adamw_torch'), Type.Literal('adamw_8bit')], {
  default: 'adamw_torch',
  description:
    "AdamW. adamw_8bit is bitsandbytes': it holds both moments of each parameter in 8 bits instead of 32, but for small tensors and embeddings. On a CPU only.",
});
export type Optim = Static<typeof Optim>;

const OptimizerFields = Type.Object({
  optim: Type.Optional(Optim),
  optimizer_in_bwd: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Updates each part of the model as soon as its gradients exist, in a step of one pass, so that the gradients of all are never in memory together. Needs max_grad_norm 0.',
    }),
  ),
});
export type OptimizerFields = Static<typeof OptimizerFields>;
export const optimizerFields = OptimizerFields.properties;

/** Smaller tensors keep moments in f32: bitsandbytes' `min_8bit_size`. */
const LEAST_8BIT_ELEMENTS = 4096;
/** Elements that share a scale. */
export const BLOCK_ELEMENTS = 256;

/** @throws Refusal for what an update within the backward pass cannot do: it begins before the norm of all gradients is known */
export function checkOptimizer(
  {
    optimizer_in_bwd: inBackward,
    max_grad_norm: maxNorm,
    loss_spike_factor: spike,
  }: OptimizerFields & Partial<Record<'max_grad_norm' | 'loss_spike_factor', number>>,
  param: string,
): void {
  if (inBackward !== true) return;
  if (maxNorm !== 0)
    throw new Refusal(
      'invalid_value',
      `optimizer_in_bwd updates before the norm of all gradients is known, and max_grad_norm is ${maxNorm ?? '1 by default'}`,
      {
        param: `${param}.max_grad_norm`,
        hint: 'Use max_grad_norm 0, which clips nothing, or leave optimizer_in_bwd out.',
      },
    );
  if (spike !== undefined)
    throw new Refusal('invalid_value', 'optimizer_in_bwd updates before the loss can be compared with earlier ones, and loss_spike_factor is given', {
      param: `${param}.loss_spike_factor`,
      hint: 'Leave one of them out.',
    });
}

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
  return (name, shape) => shapeSize(shape) >= LEAST_8BIT_ELEMENTS && !isEmbedding(name);
}
