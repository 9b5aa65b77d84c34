import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referencePath } from '../../../reference/fixtures.ts';
import type { Hyperparameters } from '../../../src/formats/hyperparameters.ts';
import type { Metrics } from '../../../src/formats/metrics.ts';
import type { ObjectiveName } from '../../../src/formats/objectives/objectives.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { loadAdapter, readAdapterConfig } from '../../../workers/engine/io/adapter.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { train, trainPrepared } from '../../../workers/engine/train.ts';

interface TrlRuns {
  steps: number;
  runs: {
    objective: ObjectiveName;
    model: string;
    tuning: 'full' | 'lora';
    data: 'pairs' | 'labelled';
    /** null: every step is on the whole file. */
    batch: number | null;
    adapter: string | null;
    settings: Hyperparameters;
    reported: Record<string, number[]>;
    validation: Record<string, number>;
  }[];
}

const { steps, runs } = readReference<TrlRuns>('preference', 'runs.json');
/** More than the examples of a file. */
const WHOLE_FILE = 16;
/** Of what is a mean over pairs or tokens, in nats; of a sum over an answer's tokens; and of the gradients' norm. */
const TOLERANCE = 2e-5;
const TOLERANCE_OF_SUMS = 2e-4;
/** Names that have no prefix here: they do not measure the model. */
const OF_THE_RUN = ['grad_norm', 'learning_rate'];
const toleranceOf = (name: string): number => (name.startsWith('logps/') || name === 'grad_norm' ? TOLERANCE_OF_SUMS : TOLERANCE);

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-preference-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Asked = Pick<TrlRuns['runs'][number], 'model' | 'objective' | 'settings' | 'data' | 'batch'>;

function optionsOf(name: string, { model, objective, settings, data, batch }: Asked): TrainOptions {
  const fileOf = (set: string) => referencePath('preference', `${data === 'labelled' ? 'labelled-' : ''}${set}.jsonl`);
  const modelDir = join(dir, name);
  cpSync(referencePath(model, 'model'), modelDir, { recursive: true });
  cpSync(referencePath('training', 'tokenizer'), modelDir, { recursive: true });
  return {
    modelDir,
    trainingFile: fileOf('training'),
    validationFile: fileOf('validation'),
    outputDir: join(modelDir, 'out'),
    objective,
    tuning: { type: 'full' },
    hyperparameters: { ...settings, max_steps: steps, batch_size: batch ?? WHOLE_FILE, precision: 'f32' },
    seed: 1,
  };
}

describe.each(runs.map((run, index) => ({ ...run, index })))('$objective of $model with $tuning and $settings', ({ index, ...run }) => {
  it("reports at each step, and on the validation file at the end, what TRL's trainer does", async () => {
    const reports: Metrics[] = [];
    const options = optionsOf(String(index), run);
    options.report = { step: ({ metrics }) => void reports.push(metrics) };
    const adapterDir = run.adapter && referencePath('preference', 'adapters', run.adapter);
    if (adapterDir) options.tuning = readAdapterConfig(adapterDir);
    const prepared = await prepare(options);
    try {
      if (adapterDir) loadAdapter(prepared.model, adapterDir);
      const { last } = await trainPrepared(prepared, options);
      for (const [name, expected] of Object.entries(run.reported)) {
        if (name === 'nll_loss' && expected.every((loss) => loss === 0)) continue; // TRL's report of one that has no weight
        const ours = reports.map((metrics) => metrics[OF_THE_RUN.includes(name) ? name : `train_${name}`]!);
        // While a model still equals its reference, rounding decides which reward is larger.
        const isDecided = (_: number, step: number) => name !== 'rewards/accuracies' || run.reported['rewards/chosen']![step] !== 0;
        expect(largestDifference(ours.filter(isDecided), expected.filter(isDecided)), name).toBeLessThanOrEqual(toleranceOf(name));
      }
      for (const [name, expected] of Object.entries(run.validation))
        if (name !== 'nll_loss') expect(Math.abs(last.metrics[`full_valid_${name}`]! - expected), name).toBeLessThanOrEqual(toleranceOf(name));
    } finally {
      prepared.dispose();
    }
  });
});

describe('a run that is resumed', () => {
  it.each([
    ['dpo', 'lora'],
    ['dpo', 'full'],
    ['kto', 'full'],
  ] as const)('in the middle, by %s with %s › writes the bytes of one that was not', async (objective, tuning) => {
    const name = `${objective}-${tuning}`;
    const data = objective === 'kto' ? 'labelled' : 'pairs';
    const options = optionsOf(`resumed-${name}`, { model: 'cases/llama-gqa-tied', objective, settings: { learning_rate: 1e-3 }, data, batch: 4 });
    options.tuning = tuning === 'full' ? { type: 'full' } : { type: 'lora', r: 2 };
    options.hyperparameters = { ...options.hyperparameters, max_steps: 4 };
    const whole = await train({ ...options, outputDir: join(dir, `${name}-whole`), checkpointsDir: join(dir, `${name}-checkpoints`) });
    const again = await train({ ...options, outputDir: join(dir, `${name}-again`), resumeFrom: join(dir, `${name}-checkpoints`, '2') });
    expect(again.steps).toBe(4);
    for (const name of whole.files)
      expect(readFileSync(join(again.outputDir, name)).equals(readFileSync(join(whole.outputDir, name))), name).toBe(true);
  });
});
