import { describe, expect, it } from 'vitest';
import { configJson, type Shape } from '../../bench/smollm-shapes.ts';
import { requireMemory } from '../../src/formats/memory-needed.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { resolveTuning } from '../../src/formats/tuning/tuning.ts';
import { refusal } from '../refusal.ts';

const run = (shape: Shape, type: 'lora' | 'full') => ({
  config: parseModelConfig(configJson(shape), shape),
  tuning: resolveTuning({ type }),
  precision: 'f32' as const,
  storedInBf16: false,
  gradientCheckpointing: false,
});

// Llama-3.2-1B has 1,235,814,400 weights: 4.94 GB in f32, as many in each moment and in the gradients.
describe('a job whose weights and state need more memory than is free', () => {
  it('is refused with the parts, the largest first, and what would make it fit', () => {
    const refused = refusal(() => requireMemory(run('llama-3.2-1b', 'full'), 8e9));
    expect(refused).toMatchObject({ code: 'out_of_memory', param: 'model' });
    expect(refused.message).toBe(
      "The job needs 19.8 GB of memory between its steps alone, and 8.0 GB are free: the optimizer's moments 9.9 GB, the weights 4.9 GB, gradients 4.9 GB",
    );
    expect(refused.hint).toMatch(/^With LoRA it needs 5\.\d GB; or use a smaller model, or a worker with more memory\.$/);
  });

  it('that fits with frozen weights in bf16 names that', () => {
    const refused = refusal(() => requireMemory(run('llama-3.2-1b', 'lora'), 4e9));
    expect(refused.hint).toMatch(/^With `precision` bf16 it needs 2\.\d GB/);
  });

  it('is refused for less if it is stored in bf16, and not told to take bf16', () => {
    const refused = refusal(() => requireMemory({ ...run('llama-3.2-1b', 'lora'), storedInBf16: true }, 2e9));
    expect(refused.message).toMatch(/ 2\.\d GB of memory between its steps alone, and 2\.0 GB are free: the weights 2\.5 GB/);
    expect(refused.hint).toMatch(/^With LoRA, `precision` bf16 and `quantization` nf4 it needs 1\.\d GB/);
  });

  it('that no choice makes fit is told to take another model or worker', () => {
    const refused = refusal(() => requireMemory(run('qwen3-8b', 'lora'), 4e9));
    expect(refused.hint).toBe('Use a smaller model, or a worker with more memory.');
  });
});

describe('a job whose weights and state fit', () => {
  it('is not refused, however little is left for its passes', () => {
    expect(() => requireMemory(run('llama-3.2-1b', 'full'), 19.8e9)).not.toThrow();
  });
});
