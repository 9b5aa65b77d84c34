import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';

/**
 * One pass of a model with grouped queries and rotary positions, and of one with Mamba layers, in each precision: their losses and their gradient's norm. Then the norm of the logits after a
 * text that is continued, with weights in f32 and in bf16, and the set that computed it all.
 */
const PROGRAM = `
const { openForTraining } = await import('./workers/engine/compiled/open-model.ts');
const { instructionSet } = await import('./workers/engine/tensorflow/native.ts');
const { productsIn } = await import('./workers/engine/machine/precision.ts');
const { referenceBatch, referencePath } = await import('./reference/fixtures.ts');
const { CachedPasses } = await import('./workers/engine/generation/cached-passes.ts');
const tuning = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0, use_rslora: false, target_modules: 'all-linear' };
const found = ['f32', 'bf16'].map((precision) => {
  const passes = ['qwen3', 'granite4-hybrid'].map((name) => {
    const model = openForTraining({ modelDir: referencePath('families', name, 'model'), tuning, seed: 1, weightDecay: 0, precision });
    const { loss } = model.accumulate(referenceBatch(name, 'families'), { seed: 1, step: 1, microBatch: 0 });
    const gradient = Math.hypot(...[...model.gradients().values()].flatMap((values) => [...values]));
    model.dispose();
    return { loss, gradient };
  });
  return [precision, { loss: passes[0].loss + passes[1].loss, gradient: Math.hypot(...passes.map(({ gradient }) => gradient)) }];
});
const continued = [...['qwen3', 'granite4-hybrid'].map((name) => referencePath('families', name, 'model')), 'models/graft-tiny'].map((modelDir) => {
  const passes = new CachedPasses({ modelDir, precision: 'f32' });
  const text = { slot: 0, tokens: [3, 1, 4, 1, 5, 9, 2, 6, 5], seen: 0, adapter: null };
  passes.read(text, 8);
  const [logits] = passes.next([{ ...text, seen: 8 }]);
  passes.dispose();
  return Math.hypot(...logits);
});
console.log(JSON.stringify({ continued, instructionSet: instructionSet(), productsOfBf16: productsIn('bf16'), ...Object.fromEntries(found) }));`;

interface Pass extends Record<'f32' | 'bf16', { loss: number; gradient: number }> {
  continued: number[];
  instructionSet: string;
  productsOfBf16: string;
}

/** @param instructions TF_GRAFT_INSTRUCTIONS; undefined leaves it unset */
function run(instructions: string | undefined) {
  return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], {
    encoding: 'utf8',
    env: { ...process.env, TF_GRAFT_INSTRUCTIONS: instructions },
  });
}

function passWith(instructions: string | undefined): Pass {
  const { stdout, stderr, status } = run(instructions);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Pass;
}

const AVX2 = ['avx2', 'fma', 'bmi2'];
const AVX512 = ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl', 'avx512cd'];
const BF16 = [...AVX512, 'avx512_bf16'];
/** What the kernels are compiled for, each set better than the one before, and the processor's flags that it needs. */
const FLAGS_OF: Record<string, string[]> = { baseline: [], avx2: AVX2, avx512: AVX512, avx512_bf16: BF16, amx: [...BF16, 'amx_bf16', 'amx_tile'] };
const SETS = Object.keys(FLAGS_OF);

/** The system's own word on this processor, so that the kernels are not asked about themselves. */
const processorFlags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '));
const available = SETS.filter((set) => FLAGS_OF[set]!.every((flag) => processorFlags.has(flag)));
const lacking = SETS.filter((set) => !available.includes(set));
if (lacking.length > 0) console.warn(`This processor lacks ${lacking.join(', ')}: what these instruction sets compute is not tested here.`);

describe('the kernels', () => {
  let baseline: Pass;
  beforeAll(() => {
    baseline = passWith('baseline');
  });

  it('run with the baseline when TF_GRAFT_INSTRUCTIONS asks for it', () => {
    expect(baseline.instructionSet).toBe('baseline');
    for (const precision of ['f32', 'bf16'] as const) expect(baseline[precision].gradient).toBeGreaterThan(0);
  });

  it.for(SETS.slice(1))('run with %s when TF_GRAFT_INSTRUCTIONS asks for it, and compute what the baseline computes', (set, { skip }) => {
    skip(lacking.includes(set), `this processor lacks ${set}`);
    const pass = passWith(set);
    expect(pass.instructionSet).toBe(set);
    for (const [index, norm] of pass.continued.entries()) expect(Math.abs(norm / baseline.continued[index]! - 1)).toBeLessThan(1e-5);
    for (const precision of ['f32', 'bf16'] as const) {
      // The baseline computes products of bf16 in f32, and a set that has a unit for them rounds their results to 8 bits.
      const rounds = precision === 'bf16' && pass.productsOfBf16 !== baseline.productsOfBf16;
      expect(Math.abs(pass[precision].loss / baseline[precision].loss - 1)).toBeLessThan(rounds ? 1e-3 : 1e-6);
      expect(Math.abs(pass[precision].gradient / baseline[precision].gradient - 1)).toBeLessThan(rounds ? 1e-2 : 1e-5);
    }
  });

  it('run with the best set that the processor has when nothing is asked for', () => {
    expect(passWith(undefined).instructionSet).toBe(available.at(-1));
  });

  it.each([...lacking, 'sse9'])('refuse %s, which this processor cannot run, and name what it can', (set) => {
    const { stderr, status } = run(set);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`TF_GRAFT_INSTRUCTIONS is "${set}"; this processor runs ${available.toReversed().join(', ')}`);
  });
});
