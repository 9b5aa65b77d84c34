/** The type of a model's weights according to its config.json; a fully tuned model is stored in that of its base. */
export function storedDtype({
  dtype: ofTransformers5,
  torch_dtype: ofTransformers4,
}: {
  dtype?: unknown;
  torch_dtype?: unknown;
}): 'F32' | 'F16' | 'BF16' {
  const dtype = ofTransformers5 ?? ofTransformers4;
  return dtype === 'bfloat16' ? 'BF16' : dtype === 'float16' ? 'F16' : 'F32';
}
