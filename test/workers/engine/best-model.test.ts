import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../reference/fixtures.ts';
import { BestModel } from '../../../workers/engine/best-model.ts';
import type { CheckpointReport, StepReport, TrainOptions } from '../../../workers/engine/contract.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { prove } from '../../../workers/engine/proof/prove.ts';
import { train, trainPrepared } from '../../../workers/engine/train.ts';

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');

interface EarlyStop {
  patience: number;
  threshold: number;
  greaterIsBetter: boolean;
  /** The metric at each evaluation; null for NaN. */
  values: (number | null)[];
  stopsAt: number | null;
  best: number;
  bestStep: number;
}

describe('BestModel', () => {
  it.each(readReference<EarlyStop[]>('early-stops.json'))(
    'with patience $patience and threshold $threshold on $values › stops where transformers does, with the same best',
    ({ patience, threshold, greaterIsBetter, values, stopsAt, best, bestStep }) => {
      const asked = { early_stopping_patience: patience, early_stopping_threshold: threshold };
      const model = { read: () => new Map(), assign: () => {} };
      const watching = new BestModel({ watched: { name: 'full_valid_loss', greaterIsBetter }, asked, model }, null);
      let step = 0;
      while (step < values.length && !watching.hasStopped) {
        const value = values[step]!;
        step += 1;
        watching.observe({ step, totalSteps: values.length, metrics: { full_valid_loss: value ?? Number.NaN } });
      }
      expect(watching.hasStopped ? step : null).toBe(stopsAt);
      expect(watching.state.best).toMatchObject({ value: best, report: { step: bestStep } });
    },
  );
});

let dir: string;
let trainingFile: string;
let validationFile: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-best-'));
  const lines = (answer: string) =>
    ['the garden', 'a graft', 'an old tree', 'a shoot'].map(
      (what) => `${JSON.stringify({ prompt: `Where is ${what}?`, completion: ` ${answer}.` })}\n`,
    );
  trainingFile = join(dir, 'training.jsonl');
  validationFile = join(dir, 'validation.jsonl');
  await writeFile(trainingFile, lines('nobody knows').join(''));
  // What training teaches makes these less probable, after a while.
  await writeFile(validationFile, lines('by the roots of one branch').join(''));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const adapterFile = 'adapter_model.safetensors';
const bytes = (...path: string[]) => readFile(join(dir, ...path));

function options(name: string, given: Partial<TrainOptions> = {}): TrainOptions {
  return {
    modelDir,
    trainingFile,
    validationFile,
    outputDir: join(dir, name, 'out'),
    checkpointsDir: join(dir, name, 'checkpoints'),
    tuning: { type: 'lora', r: 4, lora_dropout: 0.1 },
    hyperparameters: {
      ...{ n_epochs: 20, batch_size: 2, learning_rate: 0.02, eval_steps: 3, precision: 'f32' },
      ...{ early_stopping_patience: 2, load_best_model_at_end: true },
    },
    seed: 7,
    ...given,
  };
}

function recorded() {
  const steps: StepReport[] = [];
  const checkpoints: CheckpointReport[] = [];
  const report = { step: (done: StepReport) => void steps.push(done), checkpoint: (one: CheckpointReport) => void checkpoints.push(one) };
  return { steps, checkpoints, report };
}

describe('train › with early stopping and the best model at the end', () => {
  it('stops when the validation loss has not fallen, says so, and delivers the best state, which is proven', async () => {
    const { steps, checkpoints, report } = recorded();
    const given = options('stops', { report });
    const run = await prepare(given);
    const result = await trainPrepared(run, given);
    const measured = steps.flatMap(({ step, metrics }) => ('full_valid_loss' in metrics ? [{ step, loss: metrics['full_valid_loss']! }] : []));
    const best = measured.reduce((one, other) => (other.loss < one.loss ? other : one));
    expect(best.step).toBeLessThan(result.steps);
    expect(measured.filter(({ step }) => step > best.step)).toHaveLength(2);
    expect(result).toMatchObject({ steps: steps.length, delivered: { step: best.step }, last: { step: steps.length, totalSteps: 40 } });
    expect(steps.at(-1)!.notices).toEqual([
      expect.objectContaining({
        message: `Stopped early after step ${result.steps} of 40: full_valid_loss has not improved in 2 evaluations in a row; the best was ${best.loss} at step ${best.step}`,
      }),
    ]);
    expect(checkpoints.at(-1)).toMatchObject({ step: result.steps, final: true });
    expect(await bytes('stops', 'out', adapterFile)).toEqual(await bytes('stops', 'checkpoints', String(best.step), 'adapter', adapterFile));
    const findings = await prove(run, { modelDir, deliveredDir: given.outputDir, last: result.delivered });
    expect(findings).toMatchObject({ problems: [], loss: { live: best.loss } });
  });

  it('killed after the best step › resumes from any later checkpoint to the same stop and the same adapter, bit for bit', async () => {
    const whole = recorded();
    const { steps, delivered } = await train(options('whole', { checkpointEveryMs: 0, report: whole.report }));
    for (const step of [delivered.step + 1, steps]) {
      const { steps: again, report } = recorded();
      const result = await train(options(`from-${step}`, { resumeFrom: join(dir, 'whole', 'checkpoints', String(step)), report }));
      expect(result).toMatchObject({ steps, delivered: { step: delivered.step } });
      expect(again.map((one) => one.step)).toEqual(whole.steps.slice(step).map((one) => one.step));
      expect(await bytes(`from-${step}`, 'out', adapterFile)).toEqual(await bytes('whole', 'out', adapterFile));
    }
  });

  it('for a metric that nothing measures, or without a validation file › is refused before anything is read', async () => {
    const hyperparameters = { ...options('refused').hyperparameters, metric_for_best_model: 'perplexity' };
    await expect(train(options('refused', { hyperparameters }))).rejects.toMatchObject({
      param: 'hyperparameters.metric_for_best_model',
      hint: 'Use loss or mean_token_accuracy, or eval_ and the name of an evaluation.',
    });
    const { validationFile: _, ...without } = options('refused');
    await expect(train(without)).rejects.toMatchObject({ param: 'hyperparameters.early_stopping_patience' });
    await expect(train(options('refused', { hyperparameters: { greater_is_better: true } }))).rejects.toThrow('has no effect by itself');
  });

  it('with max_steps › ends within an epoch, with the schedule of that many steps', async () => {
    const { steps, report } = recorded();
    const result = await train(options('short', { hyperparameters: { max_steps: 5, batch_size: 2, learning_rate: 1e-3, warmup_ratio: 0 }, report }));
    expect(result).toMatchObject({ steps: 5, delivered: { step: 5 } });
    expect(steps.map(({ metrics }) => metrics['learning_rate']!.toFixed(5))).toEqual(['0.00100', '0.00080', '0.00060', '0.00040', '0.00020']);
    expect(steps.at(-1)).toMatchObject({ totalSteps: 5, metrics: { epoch: 2.5, full_valid_loss: expect.any(Number) } });
  });
});
