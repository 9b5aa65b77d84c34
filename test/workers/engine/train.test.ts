import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PASS_TOKENS } from '../../../src/formats/pass-size.ts';
import { openForInference } from '../../../workers/engine/compiled/open-model.ts';
import type { CheckpointReport, StepReport, TrainOptions } from '../../../workers/engine/contract.ts';
import { evaluate } from '../../../workers/engine/evaluate.ts';
import { readSafetensors, writeSafetensors } from '../../../workers/engine/io/safetensors.ts';
import { productsIn } from '../../../workers/engine/machine/precision.ts';
import { prepareData } from '../../../workers/engine/prepare-data.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../workers/engine/train.ts';
import { stoppingAfter } from './stopping-after.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

/** 12 conversations: batches of 4 make 3 steps an epoch. */
const conversations = ['the garden', 'a graft', 'an old tree', 'a shoot', 'the roots', 'one branch'].flatMap((what) =>
  ['Where is', 'Who cut'].map((question) => ({
    messages: [
      { role: 'user', content: `${question} ${what}?` },
      { role: 'assistant', content: `Nobody knows ${what}.` },
    ],
  })),
);

let dir: string;
let trainingFile: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-train-'));
  trainingFile = await write('training.jsonl', conversations);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function write(name: string, lines: object[]): Promise<string> {
  await writeFile(join(dir, name), `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  return join(dir, name);
}

/** Two epochs of three steps each, unless `given` says otherwise. */
function options(name: string, given: Partial<TrainOptions> = {}): TrainOptions {
  return {
    modelDir,
    trainingFile,
    outputDir: join(dir, name, 'out'),
    checkpointsDir: join(dir, name, 'checkpoints'),
    tuning: { type: 'lora', r: 4, lora_dropout: 0.1 },
    hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate: 0.01 },
    seed: 7,
    ...given,
  };
}

const bytes = (...path: string[]) => readFile(join(dir, ...path));
const adapterFile = 'adapter_model.safetensors';

describe('train › with LoRA', () => {
  it('lowers the loss, reports every step in order and writes an adapter whose B is not zero', async () => {
    const steps: StepReport[] = [];
    const checkpoints: CheckpointReport[] = [];
    const result = await train(
      options('learns', {
        validationFile: trainingFile,
        hyperparameters: { n_epochs: 6, batch_size: 4, learning_rate: 0.01, eval_steps: 2 },
        report: { step: (done) => void steps.push(done), checkpoint: (checkpoint) => void checkpoints.push(checkpoint) },
      }),
    );
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 18 }, (_, index) => index + 1));
    expect(steps.filter(({ metrics }) => 'valid_loss' in metrics).map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18]);
    const [memory, peak] = ['memory_bytes', 'peak_memory_bytes'].map((name) => steps.map(({ metrics }) => metrics[name]!));
    expect(Math.min(...memory!)).toBeGreaterThan(process.memoryUsage.rss() / 4);
    expect(peak!.every((most, index) => most >= memory![index]!)).toBe(true);
    expect(checkpoints.map(({ step, final }) => [step, final])).toEqual([3, 6, 9, 12, 15, 18].map((step) => [step, step === 18]));
    expect(result.last.metrics['full_valid_loss']!).toBeLessThan(0.8 * checkpoints[0]!.last.metrics['full_valid_loss']!);
    expect(result).toMatchObject({
      steps: 18,
      files: ['README.md', 'adapter_config.json', adapterFile],
      trainedTokens: steps.reduce((sum, { metrics }) => sum + metrics['tokens']!, 0),
    });
    const tensors = [...readSafetensors(join(result.outputDir, adapterFile))];
    for (const [name, { data }] of tensors.filter(([name]) => name.includes('lora_B')))
      expect(
        data.some((value) => value !== 0),
        name,
      ).toBe(true);
    expect(await bytes('learns', 'out', adapterFile)).toEqual(await bytes('learns', 'checkpoints', '18', 'adapter', adapterFile));
  });

  it('writes the same bytes for the same seed and others for another seed', async () => {
    await train(options('once'));
    await train(options('again'));
    await train(options('other', { seed: 8 }));
    expect(await bytes('again', 'out', adapterFile)).toEqual(await bytes('once', 'out', adapterFile));
    expect(await bytes('other', 'out', adapterFile)).not.toEqual(await bytes('once', 'out', adapterFile));
  });

  it('stopped within an epoch › resumes from its checkpoint to the same adapter, bit for bit', async () => {
    await train(options('straight'));
    await expect(train(options('stopped', stoppingAfter(2)))).rejects.toThrow('cancelled');
    const steps: number[] = [];
    const resumeFrom = join(dir, 'stopped', 'checkpoints', '2');
    await train(options('stopped', { resumeFrom, report: { step: ({ step }) => void steps.push(step) } }));
    expect(steps).toEqual([3, 4, 5, 6]);
    expect(await bytes('stopped', 'out', adapterFile)).toEqual(await bytes('straight', 'out', adapterFile));
    const state = ['checkpoints', '6', 'trainer_state.safetensors'];
    expect(await bytes('stopped', ...state)).toEqual(await bytes('straight', ...state));
  });

  it('with checkpoints by time too › resumes from one of them to the same adapter, and measures nothing more', async () => {
    const validated = { validationFile: trainingFile, hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate: 0.01, eval_steps: 2 } };
    const numbers = async (name: string, given: Partial<TrainOptions>) => {
      const steps: object[] = [];
      const report = {
        step: ({ step, metrics: { seconds, memory_bytes, peak_memory_bytes, ...metrics } }: StepReport) => void steps.push({ step, ...metrics }),
      };
      await train(options(name, { ...validated, ...given, report }));
      return steps;
    };
    const seldom = await numbers('seldom', {});
    expect(await numbers('often', { checkpointEveryMs: 0 })).toEqual(seldom);
    const resumeFrom = join(dir, 'often', 'checkpoints', '1');
    expect(await numbers('resumed', { resumeFrom })).toEqual(seldom.slice(1));
    expect(await bytes('resumed', 'out', adapterFile)).toEqual(await bytes('seldom', 'out', adapterFile));
  });

  it('resumed from tensors that can be read but are not those of the checkpoint › refuses it, with both losses', async () => {
    await expect(train(options('swapped', stoppingAfter(2)))).rejects.toThrow('cancelled');
    const resumeFrom = join(dir, 'swapped', 'checkpoints', '2');
    const tensors = readSafetensors(join(resumeFrom, 'trainer_state.safetensors'));
    for (const [name, { data }] of tensors) if (name.includes('lora_B')) (data as Float32Array).fill(0.5);
    writeSafetensors(join(resumeFrom, 'trainer_state.safetensors'), tensors as Parameters<typeof writeSafetensors>[1]);
    await expect(train(options('swapped', { resumeFrom }))).rejects.toMatchObject({
      code: 'corrupt_checkpoint',
      message: expect.stringMatching(/the loss on the first examples is [\d.]+; it was [\d.]+ when the checkpoint was written/),
    });
  });

  it('stopped and resumed with a folder for its tokens › does not tokenise again, and gives the same adapter', async () => {
    await train(options('without tokens', { validationFile: trainingFile }));
    const tokensDir = join(dir, 'tokens');
    const given = { validationFile: trainingFile, tokensDir };
    await expect(train(options('with tokens', { ...given, ...stoppingAfter(2) }))).rejects.toThrow('cancelled');
    const made = async () => Promise.all(['training_file', 'validation_file'].map(async (param) => (await stat(join(tokensDir, param))).ino));
    const kept = await made();
    await train(options('with tokens', { ...given, resumeFrom: join(dir, 'with tokens', 'checkpoints', '2') }));
    expect(await made()).toEqual(kept);
    expect(await bytes('with tokens', 'out', adapterFile)).toEqual(await bytes('without tokens', 'out', adapterFile));
  });

  it('resumed with another seed and other data › names what differs', async () => {
    await expect(train(options('mismatch', stoppingAfter(1)))).rejects.toThrow('cancelled');
    const resumeFrom = join(dir, 'mismatch', 'checkpoints', '1');
    const other = await write('other.jsonl', conversations.slice(1));
    await expect(train(options('mismatch', { resumeFrom, seed: 9, trainingFile: other }))).rejects.toMatchObject({
      code: 'checkpoint_mismatch',
      message: 'the checkpoint was written with a different seed, trainingSha256',
    });
  });

  it('aborted before it begins › writes nothing', async () => {
    await expect(train(options('never', { signal: AbortSignal.abort(new Error('cancelled')) }))).rejects.toThrow('cancelled');
    await expect(bytes('never', 'checkpoints')).rejects.toThrow('ENOENT');
  });

  it('holds the same number of tensors after every step, and none when it is done', async () => {
    const before = tf.memory().numTensors;
    const counts: number[] = [];
    const report = { step: () => void counts.push(tf.memory().numTensors) };
    await train(
      options('leaks', { report, validationFile: trainingFile, hyperparameters: { n_epochs: 2, batch_size: 4, eval_steps: 2, save_steps: 2 } }),
    );
    expect(new Set(counts).size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('with steps larger than one pass › reports the loss per supervised token of all their examples', async () => {
    const long = Array.from({ length: 60 }, (_, index) => ({
      prompt: 'the garden '.repeat(24),
      completion: `${'tree '.repeat(1 + (index % 20))}${index}`,
    }));
    const file = await write('long.jsonl', long);
    const steps: StepReport[] = [];
    // The first step of a warm-up has a learning rate of 0, so the validation after it sees the same weights.
    const hyperparameters = { n_epochs: 1, batch_size: 60, warmup_ratio: 1 };
    const report = { step: (done: StepReport) => void steps.push(done) };
    await train(options('passes', { trainingFile: file, validationFile: file, hyperparameters, report, tuning: { type: 'lora', r: 2 } }));
    expect(steps[0]!.metrics['tokens']).toBeGreaterThan(PASS_TOKENS);
    expect(steps[0]!.metrics['learning_rate']).toBe(0);
    expect(steps[0]!.metrics['train_loss']).toBeCloseTo(steps[0]!.metrics['full_valid_loss']!, 6);
  });
});

describe('train › in bf16', () => {
  const tunings = [{ type: 'lora', r: 4 }, { type: 'full' }] as const;

  it.each(tunings)('reaches the losses of f32 with %j', async (tuning) => {
    const hyperparameters = { n_epochs: 8, batch_size: 4, learning_rate: tuning.type === 'lora' ? 0.01 : 2e-3 };
    const losses = async (precision: 'f32' | 'bf16'): Promise<number[]> => {
      const steps: number[] = [];
      const report = { step: ({ metrics }: StepReport) => void steps.push(metrics['train_loss']!) };
      await train(options(`learns-${tuning.type}-${precision}`, { tuning, hyperparameters: { ...hyperparameters, precision }, report }));
      return steps;
    };
    const [exact, rounded] = [await losses('f32'), await losses('bf16')];
    // Where products are computed in f32 nevertheless, only a frozen model is in bf16.
    const rounds = productsIn('bf16') === 'bf16' || tuning.type === 'lora';
    if (rounds) expect(rounded).not.toEqual(exact);
    else expect(rounded).toEqual(exact);
    expect(exact.at(-1)!).toBeLessThan(0.7 * exact[0]!);
    for (const [step, loss] of exact.entries()) expect(Math.abs(rounded[step]! - loss), `step ${step + 1}`).toBeLessThan(0.03 * exact[0]!);
  });

  it('resumed with precision "auto" › keeps the precision of the first run and gives the same adapter, bit for bit', async () => {
    const given = { hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate: 0.01, precision: 'bf16' as const } };
    await train(options('bf16', given));
    await expect(train(options('bf16-stopped', { ...given, ...stoppingAfter(2) }))).rejects.toThrow('cancelled');
    const resumeFrom = join(dir, 'bf16-stopped', 'checkpoints', '2');
    await train(options('bf16-stopped', { hyperparameters: { ...given.hyperparameters, precision: 'auto' }, resumeFrom }));
    expect(await bytes('bf16-stopped', 'out', adapterFile)).toEqual(await bytes('bf16', 'out', adapterFile));
  });
});

describe('train › the whole model', () => {
  const full = { tuning: { type: 'full' as const }, hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate: 1e-3, weight_decay: 0.01 } };

  it('writes a model directory, the same bit for bit after a stop and a resume', async () => {
    const { files } = await train(options('full', full));
    expect(files).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja']));
    await expect(train(options('full-stopped', { ...full, ...stoppingAfter(4) }))).rejects.toThrow('cancelled');
    await train(options('full-stopped', { ...full, resumeFrom: join(dir, 'full-stopped', 'checkpoints', '4') }));
    expect(await bytes('full-stopped', 'out', 'model.safetensors')).toEqual(await bytes('full', 'out', 'model.safetensors'));
  });
});

describe('train › with moments in 8 bits', () => {
  /** Matrices of 4,096 elements and more: the model's, or A and B of this rank. */
  const tunings = [{ type: 'full' }, { type: 'lora', r: 64 }] as const;

  it.each(tunings)('of %j › has nearly the losses of those in f32, keeps its codes in checkpoints, and resumes bit for bit', async (tuning) => {
    const hyperparameters = { n_epochs: 4, batch_size: 4, learning_rate: 2e-3, weight_decay: 0.01 };
    const run = async (name: string, given: Partial<TrainOptions>): Promise<number[]> => {
      const losses: number[] = [];
      const report = { step: ({ metrics }: StepReport) => void losses.push(metrics['train_loss']!) };
      await train(options(`${name}-${tuning.type}`, { tuning, hyperparameters, report, ...given }));
      return losses;
    };
    const in8Bits = { hyperparameters: { ...hyperparameters, optim: 'adamw_8bit' as const } };
    const [exact, coded] = [await run('f32', {}), await run('8bit', in8Bits)];
    expect(coded).not.toEqual(exact);
    for (const [step, loss] of exact.entries()) expect(Math.abs(coded[step]! - loss), `step ${step + 1}`).toBeLessThan(0.02 * exact[0]!);

    const state = readSafetensors(join(dir, `8bit-${tuning.type}`, 'checkpoints', '12', 'trainer_state.safetensors'));
    const kinds = new Set(
      [...state].filter(([name]) => name.startsWith('m.')).map(([, { dtype, shape }]) => `${shape.reduce((a, b) => a * b) >= 4096} ${dtype}`),
    );
    // The embedding is large, and has moments in f32.
    expect([...kinds].sort()).toEqual(tuning.type === 'full' ? ['false F32', 'true F32', 'true U8'] : ['false F32', 'true U8']);

    await expect(run('8bit-stopped', { ...in8Bits, ...stoppingAfter(5) })).rejects.toThrow('cancelled');
    const stopped = `8bit-stopped-${tuning.type}`;
    await run('8bit-stopped', { ...in8Bits, resumeFrom: join(dir, stopped, 'checkpoints', '5') });
    const file = tuning.type === 'full' ? 'model.safetensors' : adapterFile;
    expect(await bytes(stopped, 'out', file)).toEqual(await bytes(`8bit-${tuning.type}`, 'out', file));
    const last = ['checkpoints', '12', 'trainer_state.safetensors'];
    expect(await bytes(stopped, ...last)).toEqual(await bytes(`8bit-${tuning.type}`, ...last));
    await expect(run('8bit-stopped', { resumeFrom: join(dir, stopped, 'checkpoints', '5') })).rejects.toMatchObject({ code: 'checkpoint_mismatch' });
  });
});

describe('train › from an adapter', () => {
  /** One batch of every example: the first loss is that of the model before the first step. */
  const all = { n_epochs: 1, batch_size: 12, learning_rate: 0.01, precision: 'f32' } as const;
  const tuning = { type: 'lora', r: 4 } as const;

  it('begins with the loss of that adapter on its base, and changes it', async () => {
    await train(options('first', { tuning, hyperparameters: { ...all, n_epochs: 6, batch_size: 4 } }));
    const startFrom = join(dir, 'first', 'out');
    const losses: number[] = [];
    const report = { step: ({ metrics }: StepReport) => void losses.push(metrics['train_loss']!) };
    await train(options('second', { tuning, hyperparameters: { ...all, n_epochs: 3 }, startFrom, report }));
    await train(options('fresh', { tuning, hyperparameters: all, report }));
    const model = openForInference({ modelDir, adapterDir: startFrom });
    const limits = { vocabSize: model.config.vocabSize, maxLengthTokens: model.config.maxPositionTokens } as const;
    const data = await prepareData(options('data'), { ...limits, truncation: 'error', incompleteTurns: 'error' }, null);
    const { loss } = await evaluate(model, data.training.examples);
    data.close();
    model.dispose();
    expect(Math.abs(losses[0]! - loss)).toBeLessThan(1e-5);
    expect(losses[2]!).toBeLessThan(losses[0]!); // the first step warms up
    expect(losses[3]!).toBeGreaterThan(losses[0]! + 0.1); // of the base alone
    expect((await bytes('second', 'out', adapterFile)).equals(await bytes('first', 'out', adapterFile))).toBe(false);
  });

  it('resumes as the undisturbed run continues', async () => {
    await train(options('source', { tuning, hyperparameters: all }));
    const startFrom = join(dir, 'source', 'out');
    const whole = { tuning, hyperparameters: { ...all, n_epochs: 4 }, startFrom };
    await train(options('undisturbed', whole));
    await expect(train(options('disturbed', { ...whole, ...stoppingAfter(2) }))).rejects.toThrow('cancelled');
    await train(options('disturbed', { ...whole, resumeFrom: join(dir, 'disturbed', 'checkpoints', '2') }));
    expect((await bytes('disturbed', 'out', adapterFile)).equals(await bytes('undisturbed', 'out', adapterFile))).toBe(true);
  });

  it('of a smaller rank than the run’s, or another scaling › begins with the same loss, and trains all of the larger one', async () => {
    await train(options('small', { tuning, hyperparameters: { ...all, n_epochs: 6, batch_size: 4 } }));
    const startFrom = join(dir, 'small', 'out');
    const losses: number[] = [];
    const report = { step: ({ metrics }: StepReport) => void losses.push(metrics['train_loss']!) };
    const larger = [
      { ...tuning, r: tuning.r + 3 },
      { ...tuning, lora_alpha: 5 },
      { ...tuning, r: 2 * tuning.r, use_rslora: true },
    ];
    for (const one of [tuning, ...larger])
      await train(options('larger', { tuning: one, hyperparameters: { ...all, n_epochs: 1 }, startFrom, report }));
    for (const loss of losses.slice(1)) expect(Math.abs(loss - losses[0]!)).toBeLessThan(1e-5);
    const written = readSafetensors(join(dir, 'larger', 'out', 'adapter_model.safetensors'));
    for (const [name, { shape, data }] of written) {
      expect(shape[name.includes('lora_A') ? 0 : 1]).toBe(2 * tuning.r);
      expect(data.at(-1)).not.toBe(0); // of the new rows and columns
    }
  });

  it('of a larger rank than the run’s, of other layers, or another kind of tuning › is refused', async () => {
    await train(options('ranked', { tuning, hyperparameters: all }));
    const startFrom = join(dir, 'ranked', 'out');
    for (const other of [{ ...tuning, r: 1 }, { ...tuning, target_modules: ['q_proj'] }, { type: 'full' as const }])
      await expect(train(options('other', { tuning: other, hyperparameters: all, startFrom }))).rejects.toMatchObject({ code: 'adapter_mismatch' });
  });
});

describe('train › with updates within the backward pass', () => {
  const base = { n_epochs: 2, batch_size: 4, learning_rate: 2e-3, weight_decay: 0.01, max_grad_norm: 0, precision: 'f32' } as const;
  const inBackward = { ...base, optimizer_in_bwd: true } as const;
  const metricsOf = async (name: string, given: Partial<TrainOptions>): Promise<StepReport[]> => {
    const steps: StepReport[] = [];
    await train(options(name, { tuning: { type: 'full' }, report: { step: (done) => void steps.push(done) }, ...given }));
    return steps;
  };

  it.each(['adamw_torch', 'adamw_8bit'] as const)(
    'of %s › trains the same model as with all gradients at once, bit for bit, and resumes',
    async (optim) => {
      const [held, passing] = [`held-${optim}`, `passing-${optim}`];
      const atOnce = await metricsOf(held, { hyperparameters: { ...base, optim } });
      const arising = await metricsOf(passing, { hyperparameters: { ...inBackward, optim } });
      expect(await bytes(passing, 'out', 'model.safetensors')).toEqual(await bytes(held, 'out', 'model.safetensors'));
      for (const [index, { metrics, notices }] of arising.entries()) {
        expect(metrics['train_loss']).toBe(atOnce[index]!.metrics['train_loss']);
        expect(metrics['grad_norm']! / atOnce[index]!.metrics['grad_norm']! - 1).toBeCloseTo(0, 5);
        expect(notices).toBeUndefined();
      }
      const stopped = `passing-stopped-${optim}`;
      await expect(metricsOf(stopped, { hyperparameters: { ...inBackward, optim }, ...stoppingAfter(4) })).rejects.toThrow('cancelled');
      await metricsOf(stopped, { hyperparameters: { ...inBackward, optim }, resumeFrom: join(dir, stopped, 'checkpoints', '4') });
      expect(await bytes(stopped, 'out', 'model.safetensors')).toEqual(await bytes(passing, 'out', 'model.safetensors'));
    },
  );
});
