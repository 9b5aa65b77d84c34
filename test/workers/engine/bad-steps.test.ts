import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import { openForTraining } from '../../../workers/engine/compiled/open-model.ts';
import type { StepReport, TrainOptions } from '../../../workers/engine/contract.ts';
import { layOut } from '../../../workers/engine/data/batches.ts';
import { readSafetensors, writeSafetensors } from '../../../workers/engine/io/safetensors.ts';
import { train } from '../../../workers/engine/train.ts';

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');

let dir: string;
let trainingFile: string;
/** Line of the example that is unlike the others. */
const ODD_LINE = 17;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-bad-steps-'));
  const lines: object[] = Array.from({ length: 24 }, (_, index) => ({
    prompt: `Where is tree ${index}?`,
    completion: ' the garden the garden the garden',
  }));
  lines.splice(2, 0, { messages: [{ role: 'assistant', content: 'left out', weight: 0 }] });
  lines[ODD_LINE - 1] = { prompt: 'Where?', completion: ' QZXJ 0917 %%%% KVWQ zqx' };
  trainingFile = join(dir, 'training.jsonl');
  await writeFile(trainingFile, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function options(name: string, given: Partial<TrainOptions> = {}): TrainOptions {
  return {
    modelDir,
    trainingFile,
    outputDir: join(dir, name, 'out'),
    checkpointsDir: join(dir, name, 'checkpoints'),
    tuning: { type: 'lora', r: 4 },
    hyperparameters: { n_epochs: 2, batch_size: 1, learning_rate: 0.02, precision: 'f32', loss_spike_factor: 3 },
    seed: 3,
    ...given,
  };
}

const adapter = (name: string) => readFile(join(dir, name, 'out', 'adapter_model.safetensors'));

describe('a step that is not taken', () => {
  it('changes neither parameters nor moments, so that those after it are as without it', () => {
    const tuning = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: 'all-linear', use_rslora: false } as const;
    const batch = (...ids: number[]) => layOut([[{ inputIds: Int32Array.from(ids), lossWeights: Float32Array.from(ids, () => 1) }]]);
    const update = { learningRate: 0.01, maxNorm: 1, weight: 3 };
    const [plain, skipping] = [0, 1].map(() => openForTraining({ modelDir, tuning, seed: 1, weightDecay: 0.1 }));
    for (const [index, model] of [plain!, skipping!].entries()) {
      for (const [step, ids] of [
        [3, 4, 5, 6],
        [7, 8, 9, 10],
        [5, 3, 9, 4],
      ].entries()) {
        model.accumulate(batch(...ids), { seed: 1, step, microBatch: 0 });
        expect(model.update(update)).toBeGreaterThan(0);
        if (index === 0) continue;
        model.accumulate(batch(11, 12, 13), { seed: 1, step: 99, microBatch: 0 });
        if (step === 0) model.discard();
        else expect(model.update({ ...update, weight: 1e-45 })).not.toSatisfy(Number.isFinite); // the mean of the gradients is infinite
      }
    }
    expect(skipping!.steps).toBe(3);
    expect(skipping!.read()).toEqual(plain!.read());
    expect(skipping!.moments()).toEqual(plain!.moments());
    plain!.dispose();
    skipping!.dispose();
  });
});

describe('a step within the backward pass', () => {
  const open = () => {
    const choices = { modelDir, tuning: { type: 'full' }, seed: 1, weightDecay: 0 } as const;
    return openForTraining({ ...choices, optim: 'adamw_8bit', optimizerInBackward: true });
  };
  const batch = (lossWeight: number) => layOut([[{ inputIds: Int32Array.of(3, 4, 5, 6), lossWeights: Float32Array.of(1, 1, 1, lossWeight) }]]);
  const position = { seed: 1, step: 1, microBatch: 0 };

  it('with a loss that is not finite changes neither parameters nor moments nor the count of steps', () => {
    const model = open();
    model.takeWhole!(batch(1), position, 0.01);
    const [parameters, moments] = [model.read(), model.moments()];
    const { sums, norm, isTorn } = model.takeWhole!(batch(3e38), position, 0.01);
    expect([Number.isFinite(sums.loss), Number.isFinite(norm), isTorn, model.steps]).toEqual([false, false, false, 1]);
    expect(model.read()).toEqual(parameters);
    expect(model.moments()).toEqual(moments);
    model.dispose();
  });

  it('with a gradient that is not finite says that the model is torn', () => {
    const model = open();
    const { isTorn } = model.takeWhole!(batch(1e37), position, 0.01); // the loss is finite, and the gradient's square is not
    expect([isTorn, model.steps]).toEqual([true, 0]);
    model.dispose();
  });

  it('takes no memory for gradients until a step has several passes, which gives what it gives with all gradients held', () => {
    const held = openForTraining({ modelDir, tuning: { type: 'full' }, seed: 1, weightDecay: 0, optim: 'adamw_8bit' });
    const model = open();
    for (const one of [held, model]) {
      for (const microBatch of [0, 1]) one.accumulate(batch(microBatch + 1), { ...position, microBatch });
      one.update({ learningRate: 0.01, maxNorm: 0, weight: 8 });
    }
    expect(model.read()).toEqual(held.read());
    held.dispose();
    model.dispose();
  });
});

describe('train › with a spike in the loss', () => {
  it('leaves the step out with a warning that names its line, and resumes after it to the same adapter, bit for bit', async () => {
    const steps: StepReport[] = [];
    const result = await train(options('spike', { checkpointEveryMs: 0, report: { step: (done) => void steps.push(done) } }));
    const skipped = steps.filter(({ metrics }) => metrics['skipped'] === 1);
    expect(skipped.length).toBeGreaterThan(0);
    for (const { step, metrics, notices } of skipped) {
      expect(notices).toEqual([
        { level: 'warn', message: expect.stringContaining('times'), data: { step, problem: expect.any(String), lines: [ODD_LINE] } },
      ]);
      expect(notices![0]!.message).toContain(`Its examples are on line ${ODD_LINE} of the training file`);
      expect(metrics).not.toHaveProperty('grad_norm');
    }
    const tokens = steps.filter((one) => !skipped.includes(one)).reduce((sum, { metrics }) => sum + metrics['tokens']!, 0);
    expect(result.trainedTokens).toBe(tokens);
    const resumeFrom = join(dir, 'spike', 'checkpoints', String(skipped[0]!.step + 1));
    await train(options('resumed', { resumeFrom }));
    expect(await adapter('resumed')).toEqual(await adapter('spike'));
  });

  it('once more than allowed › fails with the line, and keeps the state before it', async () => {
    const { hyperparameters } = options('strict');
    const saved: number[] = [];
    const report = { checkpoint: ({ step }: { step: number }) => void saved.push(step) };
    const failing = train(options('strict', { hyperparameters: { ...hyperparameters, max_skipped_steps: 0 }, report }));
    await expect(failing).rejects.toMatchObject({
      code: 'training_diverged',
      message: expect.stringMatching(
        new RegExp(
          `times .* the median .*; its examples are on line ${ODD_LINE} of the training file. The state before it is the checkpoint at step`,
        ),
      ),
    });
    const error = (await failing.catch((one: Error) => one)) as Error;
    expect(error.message).toContain(`step ${saved.at(-1)! + 1} could not be taken`);
  });
});

describe('train › where no gradient is finite', () => {
  it('leaves out three steps, then fails with all of them', async () => {
    const broken = join(dir, 'broken');
    await cp(modelDir, broken, { recursive: true });
    const weights = readSafetensors(join(broken, 'model.safetensors'));
    const tensors = new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data, (value) => value * 1e36) }]));
    writeSafetensors(join(broken, 'model.safetensors'), tensors);
    const steps: StepReport[] = [];
    const failing = train(options('nan', { modelDir: broken, tuning: { type: 'full' }, report: { step: (done) => void steps.push(done) } }));
    await expect(failing).rejects.toMatchObject({
      code: 'training_diverged',
      message: expect.stringMatching(/^step 4 could not be taken: the norm of its gradient is \w+, after 3 steps had been left out \(1, 2, 3\)/),
    });
    expect(steps.map(({ notices }) => notices?.length)).toEqual([1, 1, 1]);
    expect(steps[0]!.metrics).toMatchObject({ skipped: 1 });
  });
});
