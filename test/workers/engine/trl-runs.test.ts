import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referencePath } from '../../../reference/fixtures.ts';
import type { Hyperparameters } from '../../../src/formats/hyperparameters.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { loadAdapter, readAdapterConfig } from '../../../workers/engine/io/adapter.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { trainPrepared } from '../../../workers/engine/train.ts';

interface TrlRuns {
  steps: number;
  runs: {
    name: string;
    model: string;
    tuning: 'full' | 'lora';
    settings: Hyperparameters;
    losses: number[];
    gradNorms: number[];
    learningRates: number[];
    validationLoss: number;
  }[];
}

const { steps, runs } = readReference<TrlRuns>('training', 'runs.json');
const TRAINING_EXAMPLES = 12;
/** Nats. */
const TOLERANCE = 1e-5;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-trl-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe.each(runs)('$tuning fine-tuning of $name with decay, clipping and a schedule', ({ name, model, tuning, settings, ...expected }) => {
  it("gives the losses, the learning rates and the validation loss of TRL's SFTTrainer", async () => {
    const modelDir = join(dir, `${name}-${tuning}`);
    cpSync(referencePath(model, 'model'), modelDir, { recursive: true });
    cpSync(referencePath('training', 'tokenizer'), modelDir, { recursive: true });
    const adapterDir = referencePath('training', 'adapters', name);
    const reported: Record<'train_loss' | 'grad_norm' | 'learning_rate', number[]> = { train_loss: [], grad_norm: [], learning_rate: [] };
    const options: TrainOptions = {
      modelDir,
      trainingFile: referencePath('training', 'training.jsonl'),
      validationFile: referencePath('training', 'validation.jsonl'),
      outputDir: join(modelDir, 'out'),
      tuning: tuning === 'lora' ? readAdapterConfig(adapterDir) : { type: 'full' },
      hyperparameters: { ...settings, n_epochs: steps, batch_size: TRAINING_EXAMPLES, precision: 'f32' },
      seed: 1,
      report: {
        step: ({ metrics }) => {
          for (const [metric, values] of Object.entries(reported)) values.push(metrics[metric]!);
        },
      },
    };
    const run = await prepare(options);
    try {
      if (tuning === 'lora') loadAdapter(run.model, adapterDir);
      const { last } = await trainPrepared(run, options);
      expect(Math.abs(last.metrics['full_valid_loss']! - expected.validationLoss)).toBeLessThanOrEqual(TOLERANCE);
      expect(largestDifference(reported.train_loss, expected.losses)).toBeLessThanOrEqual(TOLERANCE);
      expect(largestDifference(reported.grad_norm, expected.gradNorms)).toBeLessThanOrEqual(1e-4);
      expect(largestDifference(reported.learning_rate, expected.learningRates)).toBeLessThanOrEqual(1e-12);
    } finally {
      run.dispose();
    }
  });
});
