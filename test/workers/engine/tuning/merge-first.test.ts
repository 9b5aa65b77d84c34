import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { largestDifference, referencePath } from '../../../../reference/fixtures.ts';
import type { LoraTuning } from '../../../../src/formats/tuning/lora-fields.ts';
import type { TrainOptions } from '../../../../workers/engine/contract.ts';
import { exportHuggingFace } from '../../../../workers/engine/export/hugging-face.ts';
import { readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { readSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { prepare } from '../../../../workers/engine/prepare.ts';
import { prove } from '../../../../workers/engine/proof/prove.ts';
import { train, trainPrepared } from '../../../../workers/engine/train.ts';

const WEIGHTS = 'adapter_model.safetensors';

const dir = mkdtempSync(join(tmpdir(), 'graft-merge-first-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const modelDir = join(dir, 'model');
cpSync(referencePath('cases', 'llama-gqa-tied', 'model'), modelDir, { recursive: true });
cpSync(referencePath('training', 'tokenizer'), modelDir, { recursive: true });

const PARENT: LoraTuning = { type: 'lora', r: 2, lora_alpha: 6, target_modules: ['q_proj', 'down_proj'] };
const NEW: LoraTuning = { ...PARENT, r: 3, lora_alpha: 3, use_rslora: true, merge_first: true };
const parentDir = join(dir, 'parent', 'out');

const options = (name: string, more: Partial<TrainOptions>): TrainOptions => ({
  modelDir,
  trainingFile: referencePath('preference', 'labelled-training.jsonl'),
  validationFile: referencePath('preference', 'labelled-validation.jsonl'),
  outputDir: join(dir, name, 'out'),
  checkpointsDir: join(dir, name, 'checkpoints'),
  objective: 'kto',
  tuning: NEW,
  hyperparameters: {
    n_epochs: 3,
    batch_size: 4,
    learning_rate: 5e-3,
    loss_type: 'apo_zero_unpaired',
    precision: 'f32',
  } as TrainOptions['hyperparameters'],
  seed: 1,
  ...more,
});

describe('merge_first', () => {
  it('trains as on the base with the adapter merged into it, and delivers both as one adapter for the base as it is, which is proven', async () => {
    await train(options('parent', { tuning: PARENT }));
    const mergedDir = join(dir, 'merged');
    await exportHuggingFace({ modelDir, adapterDir: parentDir }, mergedDir, { dtype: 'F32', progress: async () => {} });
    const losses = { onMerged: [] as number[], mergesFirst: [] as number[] };
    const reporting = (name: keyof typeof losses) => ({
      step: ({ metrics }: { metrics: Record<string, number> }) => void losses[name].push(metrics['train_loss']!),
    });
    const { merge_first: _, ...plain } = NEW;
    await train(options('on-merged', { modelDir: mergedDir, tuning: plain, report: reporting('onMerged') }));

    const asked = options('new', { startFrom: parentDir, report: reporting('mergesFirst') });
    const run = await prepare(asked);
    const { last } = await trainPrepared(run, asked);
    const { problems, loss } = await prove(run, { modelDir, deliveredDir: asked.outputDir, last });
    expect(problems).toEqual([]);
    expect(Math.abs(loss!.difference)).toBeLessThan(1e-5);

    expect(losses.onMerged.length).toBe(6);
    expect(largestDifference(losses.mergesFirst, losses.onMerged)).toBeLessThan(1e-5);
    expect(readAdapterConfig(asked.outputDir)).toMatchObject({ r: 5, target_modules: ['down_proj', 'q_proj'], use_rslora: true });
    const [delivered, parent, onMerged] = [asked.outputDir, parentDir, join(dir, 'on-merged', 'out')].map((of) => readSafetensors(join(of, WEIGHTS)));
    for (const [name, { shape, data }] of delivered!) {
      const [rows, columns] = shape as [number, number];
      const isA = name.includes('lora_A');
      const factor = isA ? 1 : 6 / 2 / (3 / Math.sqrt(3)); // of the scalings
      const expected = Float32Array.from({ length: data.length }, (_, at) => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        const place = isA ? row : column;
        const of = place < 3 ? onMerged!.get(name)! : parent!.get(name)!;
        const inPart = place < 3 ? place : place - 3;
        return place < 3
          ? of.data[isA ? inPart * columns + column : row * 3 + inPart]!
          : factor * of.data[isA ? inPart * columns + column : row * 2 + inPart]!;
      });
      expect(rows * columns).toBe(data.length);
      expect(largestDifference(data as Float32Array, expected), name).toBeLessThan(1e-4);
    }
  });

  it('resumes as the undisturbed run continues, from the checkpoint alone', async () => {
    const tuning = { ...NEW, merge_first: { r: 2, lora_alpha: 6, use_rslora: false } };
    await train(options('again', { tuning, resumeFrom: join(dir, 'new', 'checkpoints', '2') }));
    expect(readFileSync(join(dir, 'again', 'out', WEIGHTS)).equals(readFileSync(join(dir, 'new', 'out', WEIGHTS)))).toBe(true);
  });

  it('with what could not be delivered as one LoRA, or without an adapter › is refused by name', async () => {
    for (const [tuning, param] of [
      [{ ...NEW, target_modules: ['q_proj'] }, 'model'], // whose tensors it names
      [{ ...NEW, rank_pattern: { q_proj: 2 } }, 'tuning.merge_first'],
      [{ ...NEW, merge_first: { r: 4, lora_alpha: 6, use_rslora: false } }, 'tuning.merge_first'],
      [{ ...NEW, r: 255 }, 'tuning.r'],
      [{ ...NEW, lora_dropout: 0.1 }, 'tuning.lora_dropout'],
      [{ ...NEW, init_lora_weights: 'pissa' }, 'tuning.init_lora_weights'],
      [{ ...NEW, use_dora: true }, 'tuning.merge_first'],
    ] satisfies [LoraTuning, string][])
      await expect(prepare(options('refused', { tuning, startFrom: parentDir }))).rejects.toMatchObject({ param });
    await expect(prepare(options('refused', {}))).rejects.toMatchObject({ param: 'tuning.merge_first', code: 'invalid_value' });
  });
});
