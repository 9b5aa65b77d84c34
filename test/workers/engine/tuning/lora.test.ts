import { afterEach, describe, expect, it } from 'vitest';
import { largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { Refusal } from '../../../../src/formats/refusal.ts';
import type { ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import { targetedModules } from '../../../../src/formats/tuning/lora-layers.ts';
import { type EagerModel, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');
const batch = referenceBatch('llama-gqa-tied');
const lora: ResolvedLora = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: 'all-linear', use_rslora: false };

let models: EagerModel[] = [];
const opened = (tuning: ResolvedLora, seed: number): EagerModel => {
  const model = openEagerForTraining({ modelDir, tuning, seed });
  models.push(model);
  return model;
};
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
});

/** Gradients as plain arrays. B is made non-zero, so that A has gradients too. */
function gradients(model: EagerModel, position: { seed: number; step: number; microBatch: number }): Map<string, Float32Array> {
  for (const [name, variable] of model.trainable) {
    if (name.includes('lora_B')) tf.tidy(() => variable.assign(tf.fill(variable.shape, 0.02)));
  }
  const { gradients: found } = model.gradients(batch, position);
  const values = new Map([...found].map(([name, gradient]) => [name, gradient.dataSync() as Float32Array]));
  tf.dispose([...found.values()]);
  return values;
}

describe('a fresh adapter', () => {
  it('has a uniform A within ±1/√in, and B zero', () => {
    for (const [name, variable] of opened({ ...lora, r: 64 }, 3).trainable) {
      const values = variable.dataSync() as Float32Array;
      if (name.includes('lora_B')) {
        expect(values.every((value) => value === 0)).toBe(true);
        continue;
      }
      const bound = 1 / Math.sqrt(variable.shape[1]!);
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      expect(Math.max(...values)).toBeLessThan(bound);
      expect(Math.min(...values)).toBeGreaterThanOrEqual(-bound);
      expect(variance / (bound ** 2 / 3)).toBeGreaterThan(0.93);
      expect(variance / (bound ** 2 / 3)).toBeLessThan(1.07);
    }
  });

  it('is the same, bit for bit, with the same seed, and different with another', () => {
    const [a, b, c] = [opened(lora, 5), opened(lora, 5), opened(lora, 6)];
    for (const [name, variable] of a.trainable) {
      expect(b.trainable.get(name)!.dataSync()).toEqual(variable.dataSync());
      if (name.includes('lora_A')) expect(c.trainable.get(name)!.dataSync()).not.toEqual(variable.dataSync());
    }
  });
});

describe('dropout', () => {
  const dropped = { ...lora, lora_dropout: 0.5 };
  const position = { seed: 1, step: 2, microBatch: 0 };

  it('at the same position in a run gives the same gradients, bit for bit', () => {
    expect(gradients(opened(dropped, 1), position)).toEqual(gradients(opened(dropped, 1), position));
  });

  it.each([
    ['seed', { ...position, seed: 2 }],
    ['step', { ...position, step: 3 }],
    ['micro-batch', { ...position, microBatch: 1 }],
  ])('with another %s gives different gradients', (_, other) => {
    const model = opened(dropped, 1);
    expect(gradients(model, position)).not.toEqual(gradients(model, other));
  });

  it('gives gradients whose mean is the gradient without dropout', () => {
    const model = opened({ ...dropped, target_modules: ['model.layers.1.mlp.down_proj'] }, 1);
    const exact = gradients(opened({ ...lora, target_modules: ['model.layers.1.mlp.down_proj'] }, 1), position);
    const name = 'base_model.model.model.layers.1.mlp.down_proj.lora_B.weight';
    const mean = new Float64Array(exact.get(name)!.length);
    const draws = 200;
    for (let step = 0; step < draws; step++)
      for (const [i, value] of gradients(model, { ...position, step })
        .get(name)!
        .entries())
        mean[i]! += value / draws;
    const size = Math.max(...exact.get(name)!.map(Math.abs));
    expect(largestDifference(mean, exact.get(name)!) / size).toBeLessThan(0.2);
  });

  it('is off in evaluation and leaves no tensor behind', () => {
    const model = opened(dropped, 1);
    const plain = opened(lora, 1);
    gradients(model, position);
    gradients(plain, position);
    expect(model.evaluate(batch)).toEqual(plain.evaluate(batch));
    const before = tf.memory().numTensors;
    gradients(model, position);
    model.evaluate(batch);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('a batch', () => {
  it('without a supervised token has a loss and gradients of zero', () => {
    const model = opened(lora, 1);
    const { gradients: found, sums } = model.gradients(
      { ...batch, lossWeights: new Float32Array(batch.lossWeights.length) },
      { seed: 1, step: 1, microBatch: 0 },
    );
    expect(sums).toEqual({ loss: 0, weight: 0 });
    for (const gradient of found.values()) expect(gradient.dataSync().every((value) => value === 0)).toBe(true);
    tf.dispose([...found.values()]);
  });

  it('longer than those before leaves no tensor behind and does not change the logits of a shorter one', () => {
    const model = opened(lora, 1);
    const ids = Int32Array.from({ length: 300 }, (_, i) => i);
    const short = model.nextTokenLogits(ids.subarray(0, 5));
    const before = tf.memory().numTensors;
    model.nextTokenLogits(ids);
    expect(tf.memory().numTensors).toBe(before);
    expect(largestDifference(model.nextTokenLogits(ids.subarray(0, 5)), short)).toBe(0);
  });
});

describe('targetedModules', () => {
  const modules = ['model.layers.0.self_attn.q_proj', 'model.layers.0.mlp.up_proj', 'model.layers.1.self_attn.q_proj'];

  it('matches the whole name, or its end after a dot, as PEFT does', () => {
    expect(targetedModules(modules, { target_modules: ['q_proj'] })).toEqual([modules[0], modules[2]]);
    expect(targetedModules(modules, { target_modules: ['0.self_attn.q_proj'] })).toEqual([modules[0]]);
    expect(targetedModules(modules, { target_modules: [modules[1]!] })).toEqual([modules[1]]);
    expect(targetedModules(modules, { target_modules: 'all-linear' })).toEqual(modules);
  });

  it('refuses names that match nothing and lists those that exist', () => {
    const act = (): unknown => targetedModules(modules, { target_modules: ['q_proj', 'query', 'proj'] });
    expect(act).toThrow(Refusal);
    expect(act).toThrow('no linear layer called query, proj');
    try {
      act();
    } catch (error) {
      expect(error).toMatchObject({ code: 'unknown_target_module', param: 'tuning.target_modules' });
      expect((error as Refusal).text).toContain('It has q_proj, up_proj');
    }
  });

  it('refuses "all-linear" in a list, and says how to write it', () => {
    expect(() => targetedModules(modules, { target_modules: ['all-linear'] })).toThrow(
      expect.objectContaining({ code: 'unknown_target_module', hint: expect.stringContaining('"target_modules": "all-linear"') }),
    );
  });
});
