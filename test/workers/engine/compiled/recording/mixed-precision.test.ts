import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referenceBatch, referencePath } from '../../../../../reference/fixtures.ts';
import { openForTraining } from '../../../../../workers/engine/compiled/open-model.ts';
import { openEagerForInference } from '../../../../../workers/engine/eager/eager-model.ts';
import { readAdapterConfig } from '../../../../../workers/engine/io/adapter.ts';
import { tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';

const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** 1 if both point in the same direction. */
function cosine(a: Float32Array, b: Float32Array): number {
  const [ab, aa, bb] = a.reduce(([x, y, z], value, i) => [x! + value * b[i]!, y! + value * value, z! + b[i]! * b[i]!], [0, 0, 0]) as number[];
  return ab! / Math.sqrt(aa! * bb!);
}

describe.each(readdirSync(referencePath('families')))('products in bf16 › in a model of family %s', (name) => {
  it('give the loss of f32 within one percent, and a gradient with nearly the same length and direction', () => {
    const before = tf.memory().numTensors;
    const modelDir = referencePath('families', name, 'model');
    const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');
    const eager = openEagerForInference({ modelDir, adapterDir });
    const batch = referenceBatch(name, 'families');
    const wanted = eager.gradients(batch, POSITION);
    const compiled = openForTraining({
      modelDir,
      tuning: readAdapterConfig(adapterDir),
      seed: 0,
      weightDecay: 0,
      precision: 'bf16',
      products: 'bf16',
    });
    compiled.assign(new Map([...eager.read()].map(([parameter, { data }]) => [parameter, data])));
    const { loss } = compiled.accumulate(batch, POSITION);
    expect(loss).not.toBe(wanted.sums.loss);
    expect(Math.abs(loss / wanted.sums.loss - 1)).toBeLessThan(0.01);
    const gradients = compiled.gradients();
    const [all, expected] = [
      [...wanted.gradients.keys()].flatMap((parameter) => [...gradients.get(parameter)!]),
      [...wanted.gradients.values()].flatMap((gradient) => [...gradient.dataSync()]),
    ];
    // A token between two experts may go to the other one.
    expect(cosine(Float32Array.from(all), Float32Array.from(expected))).toBeGreaterThan(eager.config.experts === undefined ? 0.995 : 0.98);
    expect(Math.hypot(...all) / Math.hypot(...expected)).toBeCloseTo(1, 1);
    tf.dispose([...wanted.gradients.values()]);
    compiled.dispose();
    eager.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
