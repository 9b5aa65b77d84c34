import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { largestDifference, readReference } from '../../../../reference/fixtures.ts';
import { AdamW } from '../../../../workers/engine/eager/adamw.ts';
import { clip, globalNorm } from '../../../../workers/engine/eager/clip.ts';
import { type Tensor, tf, type Variable } from '../../../../workers/engine/tensorflow/tensorflow.ts';

type Nested = number[] | number[][];
interface OptimFixture {
  clipping: { maxNorm: number; gradients: Record<string, Nested>; norm: number; clipped: Record<string, Nested> }[];
}
interface AdamWRun {
  setting: { learningRate: number; beta1: number; beta2: number; epsilon: number; weightDecay: number };
  initial: Record<string, Nested>;
  steps: { gradients: Record<string, Nested | null>; parameters: Record<string, Nested> }[];
}

const optim = readReference<OptimFixture>('optim.json');
const runs = readReference<AdamWRun[]>('adamw-10-steps.json');

const tensors = (values: Record<string, Nested | null>): Map<string, Tensor> =>
  new Map(Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, tf.tensor(value)] as [string, Tensor]])));
const disposeAll = (map: ReadonlyMap<string, Tensor>): void => tf.dispose([...map.values()]);
const variables = (values: Record<string, Nested>): Map<string, Variable> =>
  new Map(Object.entries(values).map(([name, value]) => [name, tf.tidy(() => tf.variable(tf.tensor(value)))]));

let before = 0;
beforeEach(() => {
  before = tf.memory().numTensors;
});
afterEach(() => {
  expect(tf.memory().numTensors).toBe(before);
});

describe('clip', () => {
  it.each(optim.clipping)('to $maxNorm at norm $norm matches clip_grad_norm_', ({ maxNorm, gradients: values, norm, clipped }) => {
    const gradients = tensors(values);
    expect(clip(gradients, maxNorm)).toBeCloseTo(norm, 5);
    for (const [name, wanted] of Object.entries(clipped)) {
      expect(largestDifference(gradients.get(name)!.dataSync(), wanted.flat())).toBeLessThanOrEqual(1e-6);
    }
    disposeAll(gradients);
  });

  it('to 0 changes nothing', () => {
    const gradients = tensors({ a: [30, 40] });
    expect(clip(gradients, 0)).toBe(50);
    expect([...gradients.get('a')!.dataSync()]).toEqual([30, 40]);
    disposeAll(gradients);
  });
});

describe('globalNorm', () => {
  it('of a NaN gradient is NaN', () => {
    const gradients = tensors({ a: [1, Number.NaN] });
    expect(globalNorm(gradients)).toBeNaN();
    disposeAll(gradients);
  });
});

describe('AdamW', () => {
  const start = (run: AdamWRun, trainable: Map<string, Variable>): AdamW => {
    const { beta1, beta2, epsilon, weightDecay } = run.setting;
    // torch.optim.AdamW decays all that it is given.
    return new AdamW(trainable, { betas: [beta1, beta2], epsilon, weightDecay, decaysShape: () => true });
  };

  it.each(runs)('over ten steps, one without a gradient, follows torch.optim.AdamW ($setting)', (run) => {
    const trainable = variables(run.initial);
    const optimizer = start(run, trainable);
    for (const { gradients: values, parameters } of run.steps) {
      const gradients = tensors(values);
      optimizer.step(gradients, run.setting.learningRate);
      disposeAll(gradients);
      for (const [name, wanted] of Object.entries(parameters)) {
        expect(largestDifference(trainable.get(name)!.dataSync(), wanted.flat())).toBeLessThanOrEqual(1e-6);
      }
    }
    expect(optimizer.steps).toBe(10);
    optimizer.dispose();
    disposeAll(trainable);
  });
});
