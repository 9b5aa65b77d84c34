import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** One pass of a model with grouped queries and rotary positions: its loss, and the length of its gradient. */
const PROGRAM = `
const { openForTraining } = await import('./workers/engine/graph/open-model.ts');
const { referenceBatch, referencePath } = await import('./test/workers/engine/reference.ts');
const model = openForTraining({ modelDir: referencePath('families', 'qwen3', 'model'), tuning: { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0,
  use_rslora: false, target_modules: 'all-linear' }, seed: 1, weightDecay: 0 });
const { lossSum } = model.accumulate(referenceBatch('qwen3', 'families'), { seed: 1, step: 1, microBatch: 0 });
const squares = [...model.gradients().values()].flatMap((values) => [...values]).reduce((sum, value) => sum + value * value, 0);
console.log(JSON.stringify([lossSum, Math.sqrt(squares)]));`;

function passWith(instructions: string): [number, number] {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], {
    encoding: 'utf8',
    env: { ...process.env, TF_GRAFT_INSTRUCTIONS: instructions },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as [number, number];
}

describe('the kernels', () => {
  it('with fewer of the processor’s instructions compute the same', () => {
    const [loss, gradient] = passWith('avx512');
    expect(gradient).toBeGreaterThan(0);
    for (const instructions of ['avx2', 'baseline']) {
      const [otherLoss, otherGradient] = passWith(instructions);
      expect(Math.abs(otherLoss / loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs(otherGradient / gradient - 1)).toBeLessThan(1e-5);
    }
  });
});
