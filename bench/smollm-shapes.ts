/** Llama shapes of one family, which differ in nothing but size. Does not import TensorFlow. */

/** 135m and 360m are SmolLM2's. The others keep their proportions: heads of 64, three per key-value head, an MLP 8/3 as wide as the hidden state. */
export const SHAPES = {
  '11m': { kvHeads: 1, layers: 4 },
  '50m': { kvHeads: 2, layers: 20 },
  '135m': { kvHeads: 3, layers: 30 },
  '360m': { kvHeads: 5, layers: 32 },
  '510m': { kvHeads: 6, layers: 32 },
};
export type Shape = keyof typeof SHAPES;
export const SMOLLM2_135M: Shape = '135m';

/** @throws Error if there is no such shape */
export function shapeOf(name: string): Shape {
  if (!Object.hasOwn(SHAPES, name)) throw new Error(`--shape is "${name}"; it takes ${Object.keys(SHAPES).join(', ')}`);
  return name as Shape;
}

/** The shape as transformers' `config.json`. */
export function configJson(shape: Shape) {
  const { kvHeads, layers } = SHAPES[shape];
  return {
    model_type: 'llama',
    hidden_size: 192 * kvHeads,
    intermediate_size: 512 * kvHeads,
    num_hidden_layers: layers,
    num_attention_heads: 3 * kvHeads,
    num_key_value_heads: kvHeads,
    vocab_size: 49152,
    max_position_embeddings: 2048,
    tie_word_embeddings: true,
    rms_norm_eps: 1e-6,
  };
}
