import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import type { ResolvedTuning } from '../../../../src/formats/tuning/tuning.ts';
import type { CompiledModel } from '../../../../workers/engine/compiled/compiled-model.ts';
import { openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import type { Batch } from '../../../../workers/engine/data/batch.ts';
import { AdamW } from '../../../../workers/engine/eager/adamw.ts';
import { clip } from '../../../../workers/engine/eager/clip.ts';
import { type EagerModel, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { type Tensor, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const STEPS = 10;
const WEIGHT_DECAY = 0.1;
/**
 * Gradients that are rounding error, which AdamW turns into steps: a key's bias does not change the softmax, and Gemma 4's gates, which see what is not
 * normed, close its second table for some tokens down to 1e-9.
 */
const ROUNDING = /k_proj\.bias$|c_attn\.bias$|query_key_value\.bias$|embed_tokens_per_layer\.weight$/;
const POSITION = { seed: 1, step: 1, microBatch: 0 };

const disposables: { dispose(): void }[] = [];
afterEach(() => {
  for (const disposable of disposables.splice(0)) disposable.dispose();
});

/** Batches of different sizes: the whole batch, its first row with uneven weights, and that row shortened. */
function batches(name: string): Batch[] {
  const whole = referenceBatch(name, 'families');
  const firstRow = (length: number): Batch => ({
    rows: 1,
    length,
    inputIds: whole.inputIds.slice(0, length),
    lossWeights: whole.lossWeights.slice(0, length).map((weight, at) => (weight * (1 + (at % 3))) / 2),
  });
  return [whole, firstRow(whole.length), firstRow(whole.length - 8)];
}

/** Steps with different batches, rates and clipping; every third step has two passes. */
const plan = (name: string) => {
  const all = batches(name);
  return Array.from({ length: STEPS }, (_, index) => ({
    learningRate: 1e-4 * (1 + index / 4),
    maxNorm: index % 2 === 0 ? 0.5 : 0,
    passes: index % 3 === 0 ? [all[0]!, all[2]!] : [all[index % 3]!],
  }));
};

function eagerSteps(model: EagerModel, name: string) {
  const optimizer = new AdamW(model.trainable, { weightDecay: WEIGHT_DECAY });
  const norms: number[] = [];
  const losses: number[] = [];
  for (const { learningRate, maxNorm, passes } of plan(name)) {
    const sums = new Map<string, Tensor>();
    let weight = 0;
    let loss = 0;
    for (const batch of passes) {
      const { gradients, sums: one } = model.gradients(batch, POSITION);
      weight += one.weight;
      loss += one.loss;
      for (const [parameter, gradient] of gradients) {
        const before = sums.get(parameter);
        sums.set(parameter, before === undefined ? gradient : tf.add(before, gradient));
        if (before !== undefined) tf.dispose([before, gradient]);
      }
    }
    for (const [parameter, sum] of sums) {
      sums.set(parameter, tf.div(sum, weight));
      sum.dispose();
    }
    norms.push(clip(sums, maxNorm));
    losses.push(loss);
    optimizer.step(sums, learningRate);
    tf.dispose([...sums.values()]);
  }
  optimizer.dispose();
  return { norms, losses };
}

function compiledSteps(training: CompiledModel, name: string) {
  const norms: number[] = [];
  const losses: number[] = [];
  for (const { passes, ...update } of plan(name)) {
    const sums = passes.map((batch) => training.accumulate(batch, POSITION));
    const weight = sums.reduce((sum, one) => sum + one.weight, 0);
    losses.push(sums.reduce((sum, { loss }) => sum + loss, 0));
    norms.push(training.update({ ...update, weight }));
  }
  return { norms, losses };
}

function compare(tuning: ResolvedTuning, name: string): void {
  const modelDir = referencePath('families', name, 'model');
  const model = openEagerForTraining({ modelDir, tuning, seed: 3 });
  disposables.push(model);
  const training = openForTraining({ modelDir, tuning, seed: 3, weightDecay: WEIGHT_DECAY });
  disposables.push(training);
  const start = training.read();
  for (const [parameter, variable] of model.trainable) expect(largestDifference(start.get(parameter)!.data, variable.dataSync()), parameter).toBe(0);
  const [wanted, got] = [eagerSteps(model, name), compiledSteps(training, name)];
  for (const kind of ['norms', 'losses'] as const)
    for (const [index, value] of wanted[kind].entries()) expect(Math.abs(got[kind][index]! / value - 1), `${kind} ${index}`).toBeLessThan(1e-4);
  const end = training.read();
  for (const [parameter, variable] of model.trainable) {
    if (ROUNDING.test(parameter)) continue;
    const expected = variable.dataSync();
    expect(largestDifference(end.get(parameter)!.data, expected), parameter).toBeLessThan(1e-5);
    expect(largestDifference(expected, start.get(parameter)!.data), parameter).toBeGreaterThan(0);
  }
  const [whole] = batches(name);
  const [eager, compiled] = [model.evaluate(whole!), training.evaluate(whole!)];
  expect(Math.abs(compiled.loss / eager.loss - 1)).toBeLessThan(1e-5);
  expect({ ...compiled, loss: 0 }).toEqual({ ...eager, loss: 0 });
  for (const disposable of disposables.splice(0)) disposable.dispose();
}

describe.each(readdirSync(referencePath('families')))('CompiledModel › of %s', (name) => {
  it('matches eager training after ten LoRA steps with different batches, rates and clipping, and leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    compare(readAdapterConfig(referencePath('families', name, 'adapters', 'all-linear', 'adapter')), name);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('matches eager training after ten steps of full fine-tuning, and leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    compare({ type: 'full' }, name);
    expect(tf.memory().numTensors).toBe(before);
  });
});
