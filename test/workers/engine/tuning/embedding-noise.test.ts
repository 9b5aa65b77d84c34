import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { largestDifference, referencePath } from '../../../../reference/fixtures.ts';
import { openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { layOut } from '../../../../workers/engine/data/batches.ts';
import { openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import type { Parameters } from '../../../../workers/engine/model/parameters.ts';
import { type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../../workers/engine/train.ts';
import { noiseScales, withEmbeddingNoise } from '../../../../workers/engine/tuning/embedding-noise.ts';
import { dropoutKey } from '../../../../workers/engine/tuning/trained.ts';

const POSITION = { seed: 1, step: 1, microBatch: 0 };
const ALPHA = 15;
const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');

const dir = mkdtempSync(join(tmpdir(), 'graft-noise-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Two texts in one row and one in another, which has padding. */
const batch = layOut([[example(9, 1), example(14, 2)], [example(5, 3)]]);

function example(length: number, first: number) {
  const inputIds = Int32Array.from({ length }, (_, index) => (first + 7 * index) % 90);
  return { inputIds, lossWeights: new Float32Array(length).fill(1, 2) };
}

describe('the noise on embeddings', () => {
  it('is uniform between ±α/√(L·hidden), with the L of the text, and 0 for virtual tokens', () => {
    const hidden = 4096;
    const inputIds = Int32Array.from([100, 100, 1, 2, 3, 100, 5, 6]);
    const segments = Int32Array.from([0, 0, 0, 0, 0, 1, 1, 1]);
    const scales = noiseScales({ rows: 1, length: 8, inputIds, segments }, { alpha: ALPHA, hiddenSize: hidden, vocabSize: 100 });
    const [ofThree, ofTwo] = [3, 2].map((tokens) => Math.fround(ALPHA / Math.sqrt(tokens * hidden)));
    expect([...scales]).toEqual([0, 0, ofThree, ofThree, ofThree, 0, ofTwo, ofTwo]);

    const noiseOf = (step: number) =>
      tf.tidy(() => {
        const key = dropoutKey({ ...POSITION, step });
        const noisy = withEmbeddingNoise({} as Parameters, { scales: tf.tensor1d(scales), key });
        return noisy.embeddingNoise!(tf.zeros([8, hidden]) as Tensor2D).arraySync();
      }) as number[][];
    const noise = noiseOf(1);
    for (const [token, scale] of scales.entries()) {
      const relative = noise[token]!.map((value) => (scale === 0 ? value : value / scale));
      expect(Math.max(...relative.map(Math.abs))).toBeLessThanOrEqual(1);
      if (scale === 0) continue;
      // Of 4,096 uniform numbers: the mean within 4 standard errors of 0, the variance within 4 of 1/3.
      const variance = relative.reduce((sum, value) => sum + value ** 2, 0) / hidden;
      expect(Math.abs(relative.reduce((sum, value) => sum + value, 0) / hidden)).toBeLessThan(4 / Math.sqrt(3 * hidden));
      expect(Math.abs(variance - 1 / 3)).toBeLessThan(4 * Math.sqrt(4 / 45 / hidden));
    }
    expect(noiseOf(1)).toEqual(noise);
    expect(noiseOf(2)).not.toEqual(noise);
  });

  it.each([
    ['lora', { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: 'all-linear', use_rslora: false }],
    ['full', { type: 'full' }],
  ] as const)('with %s › is the same in the compiled pass as operation by operation, and not in evaluations', (_name, tuning) => {
    const eager = openEagerForTraining({ modelDir, tuning: tuning as never, seed: 3, noiseAlpha: ALPHA });
    const compiled = openForTraining({ modelDir, tuning: tuning as never, seed: 3, weightDecay: 0, noiseAlpha: ALPHA });
    try {
      const { sums, gradients } = eager.gradients(batch, POSITION);
      expect(Math.abs(compiled.accumulate(batch, POSITION).loss / sums.loss - 1)).toBeLessThan(1e-6);
      const got = compiled.gradients();
      for (const [name, gradient] of gradients) expect(largestDifference(got.get(name)!, gradient.dataSync()), name).toBeLessThan(1e-4);
      tf.dispose([...gradients.values()]);
      const clean = eager.evaluate(batch).loss;
      expect(Math.abs(compiled.evaluate(batch).loss / clean - 1)).toBeLessThan(1e-6);
      expect(Math.abs(sums.loss / clean - 1)).toBeGreaterThan(1e-4);
    } finally {
      eager.dispose();
      compiled.dispose();
    }
  });

  it('is the same again in a run that resumes', async () => {
    const options = {
      modelDir,
      trainingFile: referencePath('preference', 'labelled-training.jsonl'),
      tuning: { type: 'lora', r: 2 },
      hyperparameters: { neftune_noise_alpha: 5, n_epochs: 2, batch_size: 4, learning_rate: 1e-3, precision: 'f32' },
      objective: 'kto',
      seed: 1,
    } as const;
    const whole = await train({ ...options, outputDir: join(dir, 'whole'), checkpointsDir: join(dir, 'checkpoints') });
    const again = await train({ ...options, outputDir: join(dir, 'again'), resumeFrom: join(dir, 'checkpoints', '2') });
    for (const name of whole.files)
      expect(readFileSync(join(again.outputDir, name)).equals(readFileSync(join(whole.outputDir, name))), name).toBe(true);
  });
});
