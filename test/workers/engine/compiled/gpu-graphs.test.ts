/** The graphs that are recorded for a GPU, which are made of TensorFlow's own operations, run on a CPU. Kernels for a GPU alone are not run by this. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type ExpectedLoss,
  largest,
  largestDifference,
  readReference,
  referenceBatch,
  referencePath,
  referenceTensors,
} from '../../../../reference/fixtures.ts';
import { generationDifference } from '../../../../reference/generation.ts';
import { referenceDifferences, TOLERANCES } from '../../../../reference/measures.ts';
import { openForInference, openForTraining, openTogether } from '../../../../workers/engine/compiled/open-model.ts';
import { loadLoraAdapter, readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';
import type { LearningModel } from '../../../../workers/engine/tuning/tuned-model.ts';

const { isUsingGpuDevice } = backend;
beforeAll(() => {
  backend.isUsingGpuDevice = true;
});
afterAll(() => {
  backend.isUsingGpuDevice = isUsingGpuDevice;
});

const opened: LearningModel[] = [];
afterEach(() => {
  for (const model of opened.splice(0)) model.dispose();
});

describe('the graphs that are recorded for a GPU', () => {
  it.each([
    ['cases', 'llama-gqa-tied'],
    ['families', 'gemma3'],
    ['families', 'qwen3.5'],
    ['families', 'gpt-oss'],
    ['families', 'granite4-hybrid'],
    ['families', 'granite4-experts'],
    ['families', 'gpt2'],
  ])('compute what transformers and PEFT do (%s/%s)', (kind, name) => {
    const differences = referenceDifferences([kind, name]);
    for (const [measure, tolerance] of Object.entries(TOLERANCES))
      expect(differences[measure as keyof typeof TOLERANCES], measure).toBeLessThanOrEqual(tolerance);
  });

  it('continue texts as transformers does', async () => {
    expect((await generationDifference('llama-gqa-tied')).differing).toBe(0);
  });

  it.each([
    ['llama-nf4', 'nf4', 'cases', 'llama-gqa-tied'],
    ['gpt2-int8', 'int8', 'families', 'gpt2'],
  ] as const)('read quantised matrices as bitsandbytes does (%s)', (reference, quantization, kind, name) => {
    const adapterDir = referencePath(kind, name, 'adapters', 'all-linear', 'adapter');
    const model = openForTraining({
      modelDir: referencePath(kind, name, 'model'),
      tuning: readAdapterConfig(adapterDir),
      seed: 0,
      weightDecay: 0,
      quantization,
    });
    opened.push(model);
    loadLoraAdapter(model, adapterDir);
    const { loss, weight } = model.accumulate(referenceBatch(name, kind), { seed: 1, step: 1, microBatch: 0 });
    expect(Math.abs(loss! / weight / readReference<ExpectedLoss>('quantization', reference, 'expected.json').loss - 1)).toBeLessThan(2e-6);
    const gradients = model.gradients();
    for (const [parameter, wanted] of referenceTensors('quantization', reference, 'gradients.safetensors')) {
      const mean = gradients.get(parameter)!.map((sum) => sum / weight);
      expect(largestDifference(mean, wanted) / largest(wanted), parameter).toBeLessThan(1e-4);
    }
  });

  it('compute in bf16 what they compute in f32, but for its rounding', () => {
    const batch = referenceBatch('llama-gqa-tied');
    const losses = (['f32', 'bf16'] as const).map((precision) => {
      const model = openForInference({ modelDir: referencePath('cases', 'llama-gqa-tied', 'model'), precision });
      opened.push(model);
      const { loss, weight } = model.evaluate(batch);
      return loss! / weight;
    });
    expect(losses[1]).not.toBe(losses[0]);
    expect(Math.abs(losses[1]! / losses[0]! - 1)).toBeLessThan(0.01);
  });

  it('train several adapters on one base as alone', () => {
    const members = [1, 2].map((seed) => ({
      tuning: readAdapterConfig(referencePath('cases', 'llama-gqa-tied', 'adapters', 'all-linear', 'adapter')),
      seed,
      weightDecay: 0,
    }));
    const batch = { ...referenceBatch('llama-gqa-tied'), contents: [] };
    const [first, ...rest] = members.map((member) => ({ modelDir: referencePath('cases', 'llama-gqa-tied', 'model'), ...member }));
    const together = openTogether([first!, ...rest], { members, measures: false });
    opened.push(...together);
    for (const [index, choices] of [first!, ...rest].entries()) {
      const alone = openForTraining(choices);
      opened.push(alone);
      const [shared, own] = [together[index]!.evaluate(batch), alone.evaluate(batch)];
      expect(Math.abs(shared.loss! / own.loss! - 1)).toBeLessThan(1e-5);
    }
  });
});
