import { describe, expect, it } from 'vitest';
import { checkHyperparameters } from '../../src/formats/check-hyperparameters.ts';
import { estimateMemory } from '../../src/formats/memory-estimate.ts';
import { linearLayers } from '../../src/formats/module-shapes.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { QUANTIZATIONS, type Quantization, quantizableWeights, quantizedBytes } from '../../src/formats/quantization.ts';
import { resolveTuning, type Tuning } from '../../src/formats/tuning/tuning.ts';

const LLAMA_8B = parseModelConfig(
  {
    model_type: 'llama',
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128_256,
    max_position_embeddings: 8192,
    tie_word_embeddings: false,
    rms_norm_eps: 1e-5,
  },
  'config.json',
);

const check = (tuning: Tuning, quantization: Quantization | null) => () =>
  checkHyperparameters({ quantization }, { param: 'hyperparameters', tuning: resolveTuning(tuning) });

describe('quantization', () => {
  it.each<[Tuning, string]>([
    [{ type: 'full' }, 'tuning.type "full", which delivers a whole model'],
    [{ type: 'bitfit' }, 'tuning.type "bitfit", which delivers a whole model'],
    [{ type: 'lora', init_lora_weights: 'pissa' }, 'init_lora_weights "pissa"'],
    [{ type: 'lora', init_lora_weights: 'olora' }, 'init_lora_weights "olora"'],
    [{ type: 'lora', use_dora: true }, 'use_dora'],
  ])('with %j is refused by name, and null is not', (tuning, named) => {
    for (const quantization of QUANTIZATIONS)
      expect(check(tuning, quantization)).toThrow(`quantization "${quantization}" does not go together with ${named}`);
    expect(check(tuning, null)).not.toThrow();
  });

  it.each<[Tuning]>([
    [{ type: 'lora', use_rslora: true, init_lora_weights: 'gaussian', modules_to_save: ['lm_head'] }],
    [{ type: 'vera' }],
    [{ type: 'ia3' }],
    [{ type: 'prompt', num_virtual_tokens: 4 }],
    [{ type: 'prefix', num_virtual_tokens: 4 }],
  ])('with %j is taken', (tuning) => {
    expect(check(tuning, 'nf4')).not.toThrow();
  });

  it('is of the linear layers of the blocks, not of the embedding, the head and the norms', () => {
    expect([...quantizableWeights(LLAMA_8B).keys()]).toEqual([...linearLayers(LLAMA_8B).keys()].map((module) => `${module}.weight`));
    expect(quantizableWeights(LLAMA_8B).size).toBe(7 * 32);
  });
});

describe('quantizedBytes', () => {
  // By hand: 4096 · 4096 codes of half a byte; 2¹⁸ scales of a byte; 2¹⁰ scales of those and their mean, 4 bytes each, which end 4 bytes into a cache line.
  it('of a matrix of 4096 by 4096 counts codes, scales and the scales of scales', () => {
    expect(quantizedBytes('nf4', { out: 4096, in: 4096 })).toBe(2 ** 23 + 2 ** 18 + 2 ** 12 + 64);
    expect(quantizedBytes('int8', { out: 4096, in: 4096 })).toBe(2 ** 24 + 4096 * 4);
  });
});

describe('the estimate of memory', () => {
  it('of an 8B in NF4 › has weights of less than 8 GB, the embedding and the head in bf16 among them', () => {
    const run = {
      config: LLAMA_8B,
      storedInBf16: true,
      tuning: resolveTuning({ type: 'lora' }),
      gradientCheckpointing: true,
      pass: { tokens: 512, supervisedTokens: 512 },
    };
    const [plain, quantized] = [undefined, 'nf4' as const].map((quantization) => estimateMemory({ ...run, precision: 'bf16', quantization }));
    const linears = 6_979_321_856; // parameters in the blocks: 32 · (2 · 4096² + 2 · 4096 · 1024 + 3 · 4096 · 14336)
    expect(plain!.weights_bytes - quantized!.weights_bytes).toBeGreaterThan(linears * (2 - 0.52));
    expect(quantized!.weights_bytes).toBeLessThan(6e9);
    expect({ ...quantized, weights_bytes: 0, total_bytes: 0 }).toEqual({ ...plain, weights_bytes: 0, total_bytes: 0 });
  });
});
