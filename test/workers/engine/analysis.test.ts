import { cpSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../reference/fixtures.ts';
import { SHOWN_SINGULAR_VALUES } from '../../../src/formats/analysis.ts';
import { resolveTuning, type Tuning } from '../../../src/formats/tuning/tuning.ts';
import { type AnalysisOptions, analyse } from '../../../workers/engine/analysis/analyse.ts';
import { changeOf } from '../../../workers/engine/analysis/change.ts';
import { ofMatrix, sumOfSquares } from '../../../workers/engine/analysis/singular-values.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../workers/engine/train.ts';
import { normal } from '../../../workers/engine/tuning/random.ts';

interface Spectra {
  base: string;
  adapter?: string;
  weights: Record<string, { norm: number; baseNorm: number; values: number[] | null }>;
}

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');
const conversation = (answer: string) => ({
  messages: [
    { role: 'user', content: 'Who cut the old tree?' },
    { role: 'assistant', content: answer },
  ],
});

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-analysis-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function write(name: string, lines: object[]): Promise<string> {
  await writeFile(join(dir, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return join(dir, name);
}

describe('change of the weights', () => {
  /** Differences in f32 are rounded at the size of the weight: that is a part of its norm. */
  const ROUNDING = 1e-7;
  const cases = Object.entries(readReference<Record<string, Spectra>>('spectra.json'));

  it.each(cases)('of %s › norms and singular values are those of PEFT and PyTorch, to 1e-5', async (_, { base, adapter, weights }) => {
    const baseDir = referencePath(base, 'model');
    const tuned = adapter === undefined ? { modelDir: fullyTuned(), adapterDir: null } : { modelDir: baseDir, adapterDir: referencePath(adapter) };
    const change = await changeOf(baseDir, tuned, {});
    if (typeof change === 'string') throw new Error(change);
    expect(change.weights.map(({ name }) => name).sort()).toEqual(Object.keys(weights).sort());
    for (const { name, norm, relative_norm, spectrum } of change.weights) {
      const known = weights[name]!;
      const tolerance = 1e-5 * known.norm + ROUNDING * known.baseNorm;
      expect(Math.abs(norm - known.norm)).toBeLessThan(tolerance);
      expect(relative_norm! * known.baseNorm).toBeCloseTo(norm, 5);
      expect(spectrum === null).toBe(known.values === null);
      if (spectrum === null) continue;
      expect(spectrum.error).toBe(0); // all of these matrices are small
      for (const [index, value] of known.values!.entries()) expect(Math.abs((spectrum.singular_values[index] ?? 0) - value)).toBeLessThan(tolerance);
      const [first] = spectrum.energy;
      expect(first).toEqual({ r: 1, share: expect.closeTo(known.values![0]! ** 2 / known.norm ** 2, 4) });
      expect(spectrum.energy.at(-1)!.share).toBeCloseTo(1, 5);
    }
    const ofKind = change.kinds.find(({ kind }) => kind === change.weights[0]!.kind)!;
    const alike = change.weights.filter(({ kind }) => kind === ofKind.kind);
    expect(ofKind.weights).toBe(alike.length);
    expect(ofKind.norm).toBeCloseTo(Math.hypot(...alike.map(({ norm }) => norm)), 6);
  });

  function fullyTuned(): string {
    const tuned = join(dir, 'full');
    cpSync(modelDir, tuned, { recursive: true });
    cpSync(referencePath('cases', 'llama-gqa-tied', 'full-after-10-steps.safetensors'), join(tuned, 'model.safetensors'));
    return tuned;
  }

  it('of a large matrix with slowly falling values › are found within the error that is told', () => {
    const [rows, columns] = [320, 240] as const;
    const D = normal(rows * columns, { seed: 1, name: 'noise' });
    const exact = new SingularValueDecomposition(Matrix.from1DArray(rows, columns, Array.from(D))).diagonal;
    const before = tf.memory().numTensors;
    const { S, U, V, energy, error } = ofMatrix(D, [rows, columns], 'matrix');
    expect(tf.memory().numTensors).toBe(before);
    expect(error).toBeLessThan(0.15); // nothing stands out from noise
    for (let index = 0; index < SHOWN_SINGULAR_VALUES; index++) expect(Math.abs(S[index]! - exact[index]!)).toBeLessThan(error * exact[0]!);
    expect(energy).toBeCloseTo(sumOfSquares(exact), 1);
    expect([U.length, V.length]).toEqual([rows * S.length, columns * S.length]);
  });
});

describe('analysis of a run', () => {
  async function run(name: string, tuning: Tuning): Promise<Omit<AnalysisOptions, 'retentionFile'> & { validLoss: number }> {
    const validationFile = await write('validation.jsonl', [conversation('A gardener did.'), conversation('Nobody knows.')]);
    const trainingFile = await write('training.jsonl', [conversation('Ask the roots.')]);
    const hyperparameters = { max_steps: 12, batch_size: 1, learning_rate: 0.02, precision: 'f32' as const };
    const outputDir = join(dir, name);
    const { last } = await train({ modelDir, trainingFile, validationFile, outputDir, tuning, hyperparameters, seed: 3 });
    return {
      modelDir,
      deliveredDir: outputDir,
      tuning: resolveTuning(tuning),
      precision: 'f32',
      parameters: { trained: 1, total: 4 },
      template: {},
      today: new Date(),
      seed: 3,
      validLoss: last.metrics['full_valid_loss']!,
    };
  }

  it('measures on a file what the run itself measured, and on texts that the base writes, the same each time', async () => {
    const { validLoss, ...options } = await run('lora', { type: 'lora', r: 2 });
    const before = tf.memory().numTensors;
    const onFile = await analyse({ ...options, retentionFile: join(dir, 'validation.jsonl') });
    expect(tf.memory().numTensors).toBe(before);
    expect(onFile).toMatchObject({ trained_share: 0.25, no_change: null, forgetting: { measured_on: 'retention_file', examples: 2 } });
    expect(onFile.forgetting.after).toBeCloseTo(validLoss, 6);
    expect(onFile.forgetting.rise).toBeCloseTo(onFile.forgetting.after - onFile.forgetting.before, 12);
    expect(onFile.change!.weights.every(({ spectrum }) => spectrum!.singular_values.length === 2)).toBe(true);

    const { forgetting } = await analyse(options);
    expect(forgetting).toMatchObject({ measured_on: 'samples', examples: 32 });
    expect(forgetting.tokens).toBeGreaterThan(32 * 100); // of 127 each, less what ends texts
    expect(forgetting.rise).toBeGreaterThan(0); // nothing predicts what the base wrote as the base does
    expect((await analyse(options)).forgetting).toEqual(forgetting);
  });

  it('of prompt tuning says why no weights hold the change', async () => {
    const { validLoss, ...options } = await run('prompt', { type: 'prompt', num_virtual_tokens: 4 });
    const analysis = await analyse({ ...options, retentionFile: join(dir, 'validation.jsonl') });
    expect(analysis).toMatchObject({ change: null, no_change: expect.stringContaining('virtual tokens') });
    expect(analysis.forgetting.after).toBeCloseTo(validLoss, 6);
  });

  it.each([
    ['lines that are no examples', [{ question: 'x' }], 'invalid_retention_file'],
    ['lines without anything to predict', [{ text: '' }], 'invalid_retention_file'],
  ])('of a file with %s is refused', async (_, lines, code) => {
    const { validLoss, ...options } = await run('refused', { type: 'lora', r: 2 });
    const retentionFile = await write('retention.jsonl', lines);
    await expect(analyse({ ...options, retentionFile })).rejects.toMatchObject({ code, param: 'retention_file' });
  });

  it('is refused for a base without a token that begins or ends a text', async () => {
    const mute = join(dir, 'mute');
    cpSync(modelDir, mute, { recursive: true });
    for (const file of ['generation_config.json', 'tokenizer_config.json', 'config.json']) {
      const { eos_token, eos_token_id, ...others } = readReference<Record<string, unknown>>('cases', 'llama-gqa-tied', 'model', file);
      await writeFile(join(mute, file), JSON.stringify(others));
    }
    const { validLoss, ...options } = await run('for mute', { type: 'lora', r: 2 });
    await expect(analyse({ ...options, modelDir: mute })).rejects.toMatchObject({ code: 'no_samples', param: 'retention_file' });
  });
});
