/** Frozen weights with few bits, as bitsandbytes defines them: which weights are held so, and how many bytes they take. */
import { Type } from 'typebox';
import type { ModelConfig } from './model-config.ts';
import { linearLayers } from './module-shapes.ts';

/**
 * `nf4`: QLoRA's 4-bit NormalFloat with double quantisation (Dettmers et al. 2023). `int8`: 8 bits with a scale for each row, LLM.int8()'s format
 * (Dettmers et al. 2022) for weights alone.
 */
export const QUANTIZATIONS = ['nf4', 'int8'] as const;
export type Quantization = (typeof QUANTIZATIONS)[number];

/** The hyperparameter. */
export const QuantizationField = Type.Optional(
  Type.Union([Type.Literal('nf4'), Type.Literal('int8'), Type.Null()], {
    description:
      "How the frozen weights of linear layers are held, as bitsandbytes quantises them: nf4 (QLoRA's 4 bits) or int8. Products dequantise them a part at a time. By default they are held as precision says.",
  }),
);

export interface QuantizedShape {
  out: number;
  in: number;
}

/** The weights that can be held quantised: those of the blocks' linear layers. As in transformers, the head, embeddings, norms and biases cannot. */
export function quantizableWeights(config: ModelConfig): Map<string, QuantizedShape> {
  return new Map([...linearLayers(config)].map(([module, { out, in: into }]) => [`${module}.weight`, { out, in: into }]));
}

/** Elements that share a scale in NF4, and scales that share one. */
const [NF4_BLOCK, NF4_SCALE_BLOCK] = [64, 256];
const F32_BYTES = 4;
const CACHE_LINE_BYTES = 64;

/** Bytes of a quantised weight in memory, whose parts begin on cache lines (kernels/quantized-matrix.h). */
export function quantizedBytes(quantization: Quantization, { out, in: into }: QuantizedShape): number {
  const count = out * into;
  if (quantization === 'int8') return aligned(count) + aligned(F32_BYTES * out);
  const scales = Math.ceil(count / NF4_BLOCK);
  // Two codes a byte, a byte for each scale, their own scales and their mean.
  return aligned(Math.ceil(count / 2)) + aligned(scales) + aligned(F32_BYTES * (Math.ceil(scales / NF4_SCALE_BLOCK) + 1));
}

const aligned = (bytes: number): number => Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
