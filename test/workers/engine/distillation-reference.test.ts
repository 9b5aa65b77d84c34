import { describe, expect, it } from 'vitest';
import { largest, largestDifference, readReference, referenceBatch, referencePath, referenceTensors } from '../../../reference/fixtures.ts';
import type { ResolvedDistillation } from '../../../src/formats/objectives/distillation.ts';
import { openForTraining } from '../../../workers/engine/compiled/open-model.ts';
import type { Batch } from '../../../workers/engine/data/batch.ts';
import { teacherOf } from '../../../workers/engine/data/teacher.ts';
import { loadAdapter, readAdapterConfig } from '../../../workers/engine/io/adapter.ts';
import { objectiveOf } from '../../../workers/engine/objectives/objectives.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';

interface DistillationRuns {
  runs: {
    model: string;
    adapter: string | null;
    settings: ResolvedDistillation;
    weights: number[];
    teacher: { at: number; ids: number[]; logprobs: number[] }[];
    expected: Record<'loss' | 'divergence' | 'cross_entropy' | 'correct' | 'weight' | 'taught_weight', number>;
  }[];
}

const { runs } = readReference<DistillationRuns>('distillation', 'runs.json');
/** Relative: of sums, and of each gradient to its largest element. */
const TOLERANCE = 1e-5;

describe.each(runs.map((run, index) => ({ ...run, index })))('distillation of $model, adapter $adapter, with $settings', (run) => {
  const { model, adapter, settings, weights, teacher, expected, index } = run;
  const [kind, name] = model.split('/') as [string, string];
  const listed = teacherOf(teacher.map(({ at, ids, logprobs }) => ({ at, ids, logProbabilities: logprobs })));
  const batch: Batch = { ...referenceBatch(name, kind), lossWeights: Float32Array.from(weights), teacher: listed };
  const adapterDir = adapter && referencePath(model, 'adapters', adapter, 'adapter');

  it('has the sums and the gradients of its definition in PyTorch', () => {
    const before = tf.memory().numTensors;
    const objective = objectiveOf('distillation', settings);
    const tuning = adapterDir ? readAdapterConfig(adapterDir) : ({ type: 'full' } as const);
    const compiled = openForTraining({ modelDir: referencePath(model, 'model'), tuning, objective, seed: 0, weightDecay: 0 });
    try {
      if (adapterDir) loadAdapter(compiled, adapterDir);
      const evaluated = compiled.evaluate(batch);
      const sums = compiled.accumulate(batch, { seed: 1, step: 1, microBatch: 0 });
      for (const [sum, wanted] of Object.entries(expected)) {
        expect(Math.abs(sums[sum]! - wanted), sum).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(wanted)));
        expect(Math.abs(evaluated[sum]! - wanted), sum).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(wanted)));
      }
      const gradients = compiled.gradients();
      const reference = referenceTensors('distillation', `${index}.safetensors`);
      expect(gradients.size).toBe(reference.size);
      for (const [parameter, wanted] of reference) {
        const mean = gradients.get(parameter)!.map((value) => value / expected.weight);
        expect(largestDifference(mean, wanted), parameter).toBeLessThan(TOLERANCE * Math.max(largest(wanted), 1e-3));
      }
    } finally {
      compiled.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
