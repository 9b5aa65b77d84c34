import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** One pass of a model with grouped queries and rotary positions in each precision: its loss, and the length of its gradient. */
const PROGRAM = `
const { openForTraining } = await import('./workers/engine/compiled/open-model.ts');
const { referenceBatch, referencePath } = await import('./reference/fixtures.ts');
const tuning = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0, use_rslora: false, target_modules: 'all-linear' };
const found = ['f32', 'bf16'].map((precision) => {
  const model = openForTraining({ modelDir: referencePath('families', 'qwen3', 'model'), tuning, seed: 1, weightDecay: 0, precision });
  const { loss } = model.accumulate(referenceBatch('qwen3', 'families'), { seed: 1, step: 1, microBatch: 0 });
  const squares = [...model.gradients().values()].flatMap((values) => [...values]).reduce((sum, value) => sum + value * value, 0);
  model.dispose();
  return [precision, { loss, gradient: Math.sqrt(squares) }];
});
console.log(JSON.stringify(Object.fromEntries(found)));`;

type Pass = Record<'f32' | 'bf16', { loss: number; gradient: number }>;

function passWith(instructions: string): Pass {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], {
    encoding: 'utf8',
    env: { ...process.env, TF_GRAFT_INSTRUCTIONS: instructions },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Pass;
}

describe('the kernels', () => {
  it('with fewer of the processor’s instructions compute the same', () => {
    const all = passWith('avx512_bf16');
    for (const instructions of ['avx512', 'avx2', 'baseline']) {
      const fewer = passWith(instructions);
      for (const precision of ['f32', 'bf16'] as const) {
        expect(all[precision].gradient).toBeGreaterThan(0);
        expect(Math.abs(fewer[precision].loss / all[precision].loss - 1)).toBeLessThan(1e-6);
        expect(Math.abs(fewer[precision].gradient / all[precision].gradient - 1)).toBeLessThan(1e-5);
      }
    }
  });
});
