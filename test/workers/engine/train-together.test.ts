import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference } from '../../../reference/fixtures.ts';
import type { Pace } from '../../../workers/engine/compiled/together/pace.ts';
import type { StepReport, TrainOptions } from '../../../workers/engine/contract.ts';
import { readSafetensors } from '../../../workers/engine/io/safetensors.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../workers/engine/train.ts';
import { trainTogether } from '../../../workers/engine/train-together.ts';
import { stoppingAfter } from './stopping-after.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
/** Of losses, norms and trained values beside others and alone: rounding. */
const TOLERANCE = 1e-5;
const F32 = { precision: 'f32' } as const;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-together-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Conversations of different lengths. */
async function data(name: string, what: readonly string[]): Promise<string> {
  const lines = what.map((thing, index) => ({
    messages: [
      { role: 'user', content: `Where is ${thing}?` },
      { role: 'assistant', content: `Nobody knows ${`${thing} `.repeat(1 + (index % 4))}.` },
    ],
  }));
  const path = join(dir, name);
  await writeFile(path, `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  return path;
}

const THINGS = ['the garden', 'a graft', 'an old tree', 'a shoot', 'the roots', 'one branch', 'a leaf'];

interface Recorded {
  options: TrainOptions;
  steps: StepReport[];
}

/** A run whose steps are recorded. */
async function recorded(name: string, given: Partial<TrainOptions>): Promise<Recorded> {
  const steps: StepReport[] = [];
  const report = {
    ...given.report,
    async step(done: StepReport) {
      steps.push(done);
      await given.report?.step?.(done);
    },
  };
  const trainingFile = given.trainingFile ?? (await data(`${name}.jsonl`, THINGS));
  const options: TrainOptions = {
    modelDir,
    outputDir: join(dir, name),
    tuning: { type: 'lora', r: 4 },
    hyperparameters: { ...F32, n_epochs: 2, batch_size: 2, learning_rate: 0.003 },
    seed: 7,
    ...given,
    trainingFile,
    report,
  };
  return { options, steps };
}

/** Runs that differ in everything that runs on one base may differ in. */
const RUNS: Record<string, Partial<TrainOptions>> = {
  small: {},
  'higher rank': {
    tuning: { type: 'lora', r: 8, lora_alpha: 4, target_modules: ['q_proj', 'down_proj'], rank_pattern: { down_proj: 2 } },
    hyperparameters: { ...F32, n_epochs: 3, batch_size: 1, learning_rate: 0.003, weight_decay: 0.1, max_grad_norm: 0 },
    seed: 8,
  },
  'lora plus': {
    tuning: { type: 'lora', r: 2, loraplus_lr_ratio: 4, use_rslora: true, init_lora_weights: 'gaussian' },
    hyperparameters: { ...F32, n_epochs: 1, batch_size: 4, learning_rate: 0.003, lr_scheduler_type: 'cosine' },
  },
};

const losses = (steps: readonly StepReport[]): number[] => steps.map(({ metrics }) => metrics['train_loss']!);
const norms = (steps: readonly StepReport[]): number[] => steps.map(({ metrics }) => metrics['grad_norm']!);

async function expectAlike(beside: Recorded, alone: Recorded, tolerance = TOLERANCE): Promise<void> {
  expect(beside.steps.length).toBe(alone.steps.length);
  expect(largestDifference(losses(beside.steps), losses(alone.steps))).toBeLessThan(tolerance);
  const relative = norms(beside.steps).map((norm, index) => norm / norms(alone.steps)[index]! - 1);
  expect(
    largestDifference(
      relative,
      relative.map(() => 0),
    ),
  ).toBeLessThan(10 * tolerance);
  const [ofBeside, ofAlone] = [beside, alone].map(({ options }) => [...readSafetensors(join(options.outputDir, 'adapter_model.safetensors'))]);
  expect(ofBeside!.map(([name]) => name)).toEqual(ofAlone!.map(([name]) => name));
  for (const [index, [name, { data }]] of ofBeside!.entries())
    expect(largestDifference(data, ofAlone![index]![1].data), name).toBeLessThan(10 * tolerance);
}

describe('trainTogether', () => {
  it('gives each run the numbers that it has alone, whatever its rank, targets, batches, rates and end, and holds the base once', async () => {
    const validationFile = await data('validation.jsonl', THINGS.slice(3));
    const given = Object.entries(RUNS).map(([name, run]) => [name, name === 'small' ? { ...run, validationFile } : run] as const);
    const beside = await Promise.all(given.map(([name, run]) => recorded(`${name} beside`, run)));
    const alone = await Promise.all(given.map(([name, run]) => recorded(`${name} alone`, run)));
    const before = tf.memory().numTensors;
    const ended = await trainTogether(beside.map(({ options }) => options));
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(tf.memory().numTensors).toBe(before);
    for (const [index, run] of alone.entries()) {
      await train(run.options);
      await expectAlike(beside[index]!, run);
    }
    const valid = [beside[0]!, alone[0]!].map(({ steps }) => steps.map(({ metrics }) => metrics['full_valid_loss'] ?? metrics['valid_loss']!));
    expect(largestDifference(valid[0]!, valid[1]!)).toBeLessThan(TOLERANCE);
  });

  it('gives each of eight runs with other ranks in the same layers the numbers that it has alone', async () => {
    const run = (number: number): Partial<TrainOptions> => ({
      tuning: { type: 'lora', r: 2 + number, target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] },
      hyperparameters: { ...F32, n_epochs: 1, batch_size: 4, learning_rate: 0.003 },
      seed: number,
    });
    const beside = await Promise.all(Array.from({ length: 8 }, (_, number) => recorded(`${number} of eight`, run(number))));
    const ended = await trainTogether(beside.map(({ options }) => options));
    expect(ended.map(({ status }) => status)).toEqual(beside.map(() => 'fulfilled'));
    for (const number of [0, 4, 7]) {
      const alone = await recorded(`${number} alone`, run(number));
      await train(alone.options);
      await expectAlike(beside[number]!, alone);
    }
  });

  it('lets the others be where one cannot begin, stops or fails in the middle', async () => {
    const failing = async (done: StepReport) => {
      if (done.step === 3) throw new Error('its report failed');
    };
    const stopping = stoppingAfter(2);
    const others = [
      await recorded('bad data', { trainingFile: await data('bad.jsonl', []) }),
      await recorded('stopped', { ...stopping, checkpointsDir: join(dir, 'stopped', 'checkpoints') }),
      await recorded('failed', { report: { step: failing } }),
      await recorded('too long', { tuning: { type: 'full' } }),
    ];
    const [beside, alone] = [await recorded('left beside', {}), await recorded('left alone', {})];
    const ended = await trainTogether([...others, beside].map(({ options }) => options));
    expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled', 'fulfilled']);
    const reasons = ended.map((end) => (end.status === 'rejected' ? (end.reason as Error).message : null));
    expect(reasons).toEqual(['the file is empty', 'cancelled', 'its report failed', null, null]);
    await train(alone.options);
    await expectAlike(beside, alone);
  });

  it('where measuring decides whether passes are shared › gives the same numbers, and says what it has measured', async () => {
    const paces: Pace[] = [];
    const [one, alone] = [await recorded('measured', { report: { paced: (pace) => void paces.push(pace) } }), await recorded('not measured', {})];
    const other = await recorded('measured too', { seed: 9 });
    await trainTogether([one.options, other.options], { measures: true });
    expect(paces).toEqual([{ runs: 2, speed: expect.closeTo(1, -1), isShared: expect.any(Boolean) }]);
    await train(alone.options);
    await expectAlike(one, alone);
  });

  it('begins without a run that takes too long to prepare', async () => {
    const slow = await recorded('slow', { report: { receipt: () => delay(500) } });
    const [beside, alone] = [await recorded('punctual', {}), await recorded('punctual alone', {})];
    const [late, punctual] = await trainTogether([slow.options, beside.options], { longestWaitMs: 1 });
    expect(late).toMatchObject({ status: 'rejected', reason: { name: 'CameLate' } });
    expect(punctual!.status).toBe('fulfilled');
    await train(alone.options);
    await expectAlike(beside, alone);
  });

  it('keeps the infinite numbers of one run from the others', async () => {
    const wild = await recorded('wild', { hyperparameters: { ...F32, n_epochs: 2, batch_size: 2, learning_rate: 1e30, max_skipped_steps: 0 } });
    const [beside, alone] = [await recorded('tame beside', {}), await recorded('tame alone', {})];
    const [ofWild, ofTame] = await trainTogether([wild.options, beside.options]);
    expect([ofWild!.status, ofTame!.status]).toEqual(['rejected', 'fulfilled']);
    expect((ofWild as PromiseRejectedResult).reason).toMatchObject({ code: 'training_diverged' });
    await train(alone.options);
    await expectAlike(beside, alone);
  });

  it('resumes alone what was stopped beside others, and beside others what was stopped alone', async () => {
    const whole = await recorded('whole', {});
    await train(whole.options);
    const checkpointsDir = join(dir, 'stopped beside', 'checkpoints');
    const [stopped, other] = [await recorded('stopped beside', { checkpointsDir, ...stoppingAfter(3) }), await recorded('other', { seed: 9 })];
    await trainTogether([stopped.options, other.options]);
    const resumed = await recorded('resumed', { trainingFile: stopped.options.trainingFile, resumeFrom: join(checkpointsDir, '3') });
    const again = await recorded('other again', { seed: 9 });
    await trainTogether([again.options, resumed.options]);
    const steps = [...stopped.steps, ...resumed.steps];
    await expectAlike({ ...resumed, steps }, whole);
  });
});
