/** A model directory with random weights, to train from scratch. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '../../workers/engine/io/safetensors.ts';
import { CONFIG, GENERATION_CONFIG, TOKENIZER_CONFIG } from './architecture.ts';
import { seededRandom } from './seeded-random.ts';

export const CHAT_TEMPLATE = fileURLToPath(new URL('chat_template.jinja', import.meta.url));

interface Weights {
  shape: number[];
  data: Float32Array;
}

/**
 * Normal weights with standard deviation 0.02; divided by √(2·layers) where they write into the residual stream, so that its variance
 * does not grow with depth (GPT-2, Radford et al. 2019, section 2.3). Norm weights are one.
 */
export function initialWeights(seed: number): Map<string, Weights> {
  const { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers, head_dim: head, initializer_range: deviation } = CONFIG;
  const queries = CONFIG.num_attention_heads * head;
  const keys = CONFIG.num_key_value_heads * head;
  const residual = deviation / Math.sqrt(2 * layers);
  const random = seededRandom(seed);
  const normal = (rows: number, columns: number, scale: number): Weights => ({
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, () => scale * random.normal()),
  });
  const ones = (): Weights => ({ shape: [hidden], data: new Float32Array(hidden).fill(1) });

  const weights = new Map<string, Weights>([['model.embed_tokens.weight', normal(CONFIG.vocab_size, hidden, deviation)]]);
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `model.layers.${layer}.${part}.weight`;
    weights.set(name('input_layernorm'), ones());
    weights.set(name('self_attn.q_proj'), normal(queries, hidden, deviation));
    weights.set(name('self_attn.k_proj'), normal(keys, hidden, deviation));
    weights.set(name('self_attn.v_proj'), normal(keys, hidden, deviation));
    weights.set(name('self_attn.o_proj'), normal(hidden, queries, residual));
    weights.set(name('post_attention_layernorm'), ones());
    weights.set(name('mlp.gate_proj'), normal(inner, hidden, deviation));
    weights.set(name('mlp.up_proj'), normal(inner, hidden, deviation));
    weights.set(name('mlp.down_proj'), normal(hidden, inner, residual));
  }
  weights.set('model.norm.weight', ones());
  return weights;
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Writes everything but `tokenizer.json`, which is trained on the text. The weights stay f32 until the model is shipped. */
export function writeInitialModel(dir: string, seed: number): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'config.json'), toJson({ ...CONFIG, torch_dtype: 'float32' }));
  writeFileSync(join(dir, 'generation_config.json'), toJson(GENERATION_CONFIG));
  writeFileSync(join(dir, 'tokenizer_config.json'), toJson(TOKENIZER_CONFIG));
  copyFileSync(CHAT_TEMPLATE, join(dir, 'chat_template.jinja'));
  writeSafetensors(join(dir, 'model.safetensors'), initialWeights(seed));
}
