import { isRecord } from './record.ts';

/** Names of the weights' types in config.json. */
export const TORCH_NAMES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;
export type WeightsDtype = keyof typeof TORCH_NAMES;

/** The type of a model's weights according to its config.json; a fully tuned model is stored in that of its base. Packed weights are unpacked into bf16. */
export function storedDtype({
  dtype: ofTransformers5,
  torch_dtype: ofTransformers4,
  quantization_config: quantisation,
}: {
  dtype?: unknown;
  torch_dtype?: unknown;
  quantization_config?: unknown;
}): WeightsDtype {
  const dtype = ofTransformers5 ?? ofTransformers4 ?? (isRecord(quantisation) ? 'bfloat16' : null);
  return dtype === 'bfloat16' ? 'BF16' : dtype === 'float16' ? 'F16' : 'F32';
}
