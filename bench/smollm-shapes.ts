/** The shapes that are measured: Llama shapes of one family, which differ in nothing but size, and those of published models. Does not import TensorFlow. */
import { PUBLISHED, type PublishedShape } from './published-shapes.ts';

/** 135m and 360m are SmolLM2's. The others keep their proportions: heads of 64, three per key-value head, an MLP 8/3 as wide as the hidden state. */
export const SHAPES = {
  '11m': { kvHeads: 1, layers: 4 },
  '50m': { kvHeads: 2, layers: 20 },
  '135m': { kvHeads: 3, layers: 30 },
  '360m': { kvHeads: 5, layers: 32 },
  '510m': { kvHeads: 6, layers: 32 },
};
export type Shape = keyof typeof SHAPES | PublishedShape;
export const SMOLLM2_135M = '135m' satisfies Shape;

const isPublished = (name: string): name is PublishedShape => Object.hasOwn(PUBLISHED, name);

/** @throws Error if there is no such shape */
export function shapeOf(name: string): Shape {
  if (!Object.hasOwn(SHAPES, name) && !isPublished(name))
    throw new Error(`--shape is "${name}"; it takes ${[...Object.keys(SHAPES), ...Object.keys(PUBLISHED)].join(', ')}`);
  return name as Shape;
}

/** What of a shape may be another. */
export interface ShapeChanges {
  /** Number of blocks. */
  layers?: number | undefined;
  vocabSize?: number | undefined;
}

/** The shape as transformers' `config.json`. */
export function configJson(shape: Shape, { layers, vocabSize }: ShapeChanges = {}) {
  const config = isPublished(shape) ? PUBLISHED[shape].config : smolLm(SHAPES[shape]);
  return { ...config, num_hidden_layers: layers ?? config.num_hidden_layers, vocab_size: vocabSize ?? config.vocab_size };
}

function smolLm({ kvHeads, layers }: (typeof SHAPES)[keyof typeof SHAPES]) {
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
