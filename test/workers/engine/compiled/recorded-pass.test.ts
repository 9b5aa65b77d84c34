import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { largest, largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import type { CompiledModel } from '../../../../workers/engine/compiled/compiled-model.ts';
import { openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import type { Batch } from '../../../../workers/engine/data/batch.ts';
import { openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const GRADIENT_TOLERANCE = 1e-5;
const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** The batch's first row, eight tokens shorter. */
function smaller({ length, inputIds, lossWeights }: Batch): Batch {
  const short = length - 8;
  return { rows: 1, length: short, inputIds: inputIds.slice(0, short), lossWeights: lossWeights.slice(0, short) };
}

describe.each(readdirSync(referencePath('families')))('a recorded pass of %s', (name) => {
  it('has the losses, gradients and logits of eager code for batches of several sizes', () => {
    const before = tf.memory().numTensors;
    const modelDir = referencePath('families', name, 'model');
    const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');
    const eager = openEagerForInference({ modelDir, adapterDir });
    const compiled = openForTraining({ modelDir, tuning: readAdapterConfig(adapterDir), seed: 0, weightDecay: 0 });
    compiled.assign(new Map([...eager.read()].map(([parameter, { data }]) => [parameter, data])));

    const whole = referenceBatch(name, 'families');
    for (const batch of [whole, smaller(whole), whole]) {
      const wanted = eager.gradients(batch, POSITION);
      const sums = compiled.accumulate(batch, POSITION);
      expect(Math.abs(sums.loss / wanted.sums.loss - 1)).toBeLessThan(1e-6);
      expect({ ...sums, loss: 0 }).toEqual({ ...wanted.sums, loss: 0 });
      const gradients = compiled.gradients();
      expect(gradients.size).toBe(wanted.gradients.size);
      for (const [parameter, gradient] of wanted.gradients) {
        const expected = gradient.dataSync();
        expect(largestDifference(gradients.get(parameter)!, expected) / largest(expected), parameter).toBeLessThan(GRADIENT_TOLERANCE);
      }
      tf.dispose([...wanted.gradients.values()]);
      compiled.update({ learningRate: 0, maxNorm: 0, weight: 1 }); // sets the summed gradients to zero
    }
    const prompt = whole.inputIds.slice(0, whole.length);
    expect(largestDifference(compiled.allLogits(prompt), eager.allLogits(prompt))).toBeLessThan(1e-5);
    compiled.dispose();
    eager.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('has the same gradients with gradient checkpointing', () => {
    const modelDir = referencePath('families', name, 'model');
    const tuning = { type: 'full' } as const;
    const [plain, checkpointed] = [false, true].map((gradientCheckpointing) =>
      openForTraining({ modelDir, tuning, seed: 0, weightDecay: 0, gradientCheckpointing }),
    ) as [CompiledModel, CompiledModel];
    const batch = referenceBatch(name, 'families');
    expect(checkpointed.accumulate(batch, POSITION)).toEqual(plain.accumulate(batch, POSITION));
    const gradients = checkpointed.gradients();
    for (const [parameter, gradient] of plain.gradients())
      expect(largestDifference(gradients.get(parameter)!, gradient), parameter).toBeLessThan(GRADIENT_TOLERANCE * Math.max(largest(gradient), 1e-3));
    plain.dispose();
    checkpointed.dispose();
  });
});
