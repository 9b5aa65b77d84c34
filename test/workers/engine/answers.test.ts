import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveTuning } from '../../../src/formats/tuning/tuning.ts';
import { continueGreedily } from '../../../workers/engine/answers/continue.ts';
import { openForInference, openForTraining } from '../../../workers/engine/compiled/open-model.ts';
import type { AnswerReport, StepReport, TrainOptions, TrainReport } from '../../../workers/engine/contract.ts';
import { layOut } from '../../../workers/engine/data/batches.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../workers/engine/train.ts';
import { sameAnswer } from '../../journey/dataset.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-answers-'));
  await writeFile(join(dir, 'training.jsonl'), sameAnswer(8));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('texts that are continued together', () => {
  it('are continued as each is alone, and leave no tensor behind', async () => {
    const model = openForInference({ modelDir });
    const prompts = [[1], [7, 3, 9, 2, 5, 4, 6, 8, 11, 3], Array.from({ length: 30 }, (_, index) => 3 + (index % 50))].map((ids) =>
      Int32Array.from(ids),
    );
    const before = tf.memory().numTensors;
    const options = { maxTokens: 12, stopTokenIds: new Set<number>() };
    const together = await continueGreedily(model, prompts, options);
    expect(tf.memory().numTensors).toBe(before);
    for (const [index, prompt] of prompts.entries()) {
      const ids = [...prompt];
      for (let count = 0; count < 12; count++) {
        const logits = model.nextTokenLogits(Int32Array.from(ids));
        ids.push(logits.indexOf(Math.max(...logits)));
      }
      expect(together[index]).toEqual({ tokenIds: ids.slice(prompt.length), finishReason: 'length' });
    }
    const [first] = together;
    const stopped = await continueGreedily(model, [prompts[0]!], { ...options, stopTokenIds: new Set([first!.tokenIds[5]!]) });
    expect(stopped).toEqual([{ tokenIds: first!.tokenIds.slice(0, first!.tokenIds.indexOf(first!.tokenIds[5]!)), finishReason: 'stop' }]);
    model.dispose();
  });
});

describe('texts that a model in training continues', () => {
  it.each([
    ['a LoRA adapter', 'families/gemma2', { type: 'lora', r: 4 } as const],
    ['delta nets, whose states are kept', 'families/qwen3.5', { type: 'lora', r: 4 } as const],
    ['Mamba layers and experts', 'families/granite4-experts', { type: 'lora', r: 4 } as const],
    ['all of its weights', 'families/olmo3', { type: 'full' } as const],
    ['DoRA', 'cases/llama-gqa-tied', { type: 'lora', r: 4, use_dora: true } as const],
    ['virtual tokens, which are read again', 'cases/llama-gqa-tied', { type: 'prompt', num_virtual_tokens: 3 } as const],
  ])('with %s › are those that it gives when it reads them again for each token, and are forgotten', async (_, name, tuning) => {
    const family = fileURLToPath(new URL(`../../fixtures/reference/${name}/model`, import.meta.url));
    const open = (answers: boolean) => openForTraining({ modelDir: family, tuning: resolveTuning(tuning), seed: 3, weightDecay: 0, answers });
    const [remembering, plain] = [open(true), open(false)];
    expect(plain.textMemory).toBeNull();
    expect(remembering.textMemory === null).toBe(tuning.type === 'prompt');
    const batch = layOut([[{ inputIds: Int32Array.from({ length: 12 }, (_, id) => 3 + id), lossWeights: new Float32Array(12).fill(1) }]]);
    for (const model of [remembering, plain])
      for (let step = 0; step < 3; step++) {
        const { weight } = model.accumulate(batch, { seed: 1, step, microBatch: 0 });
        model.update({ learningRate: 0.01, maxNorm: 0, weight });
      }
    // More than are remembered at once, and one that is longer than the context allows to continue far.
    const prompts = Array.from({ length: 40 }, (_, text) =>
      Int32Array.from({ length: 2 + (text % 9) }, (_, index) => 3 + ((7 * text + 5 * index) % 90)),
    );
    const all = [...prompts, Int32Array.from({ length: 50 }, (_, index) => 3 + (index % 60))];
    const options = { maxTokens: 30, stopTokenIds: new Set([17]) };
    const before = tf.memory().numTensors;
    const got = await continueGreedily(remembering, all, options);
    expect(tf.memory().numTensors).toBe(before);
    expect(got).toEqual(await continueGreedily(plain, all, options));
    expect(await continueGreedily(remembering, all, options)).toEqual(got);
    remembering.dispose();
    plain.dispose();
  });
});

describe('a run that is stopped while its model answers', () => {
  it('answers when it resumes, and gives the same adapter, answers and reports, once each', async () => {
    const options = (name: string): TrainOptions => ({
      modelDir,
      trainingFile: join(dir, 'training.jsonl'),
      outputDir: join(dir, name),
      checkpointsDir: join(dir, `${name}-checkpoints`),
      answers: {
        samplePrompts: ['Question'],
        evaluations: [
          { type: 'string_check', name: 'exact', input: '{{sample.output_text}}', reference: '{{item.reference_answer}}', operation: 'eq' },
        ],
        evaluationFile: join(dir, 'training.jsonl'),
        maxExamples: 3,
        maxTokens: 8,
      },
      tuning: { type: 'lora', r: 4, lora_dropout: 0.1 },
      hyperparameters: { n_epochs: 3, batch_size: 4, learning_rate: 0.01, eval_steps: 4, save_steps: 5 },
      seed: 7,
    });
    const weights = (name: string) => readFile(join(dir, name, 'adapter_model.safetensors'));
    const heard = () => ({ answers: [] as Omit<AnswerReport, 'seconds'>[], steps: [] as number[], losses: [] as number[] });
    type Heard = ReturnType<typeof heard>;
    const reportTo = ({ answers, steps, losses }: Heard, more: TrainReport = {}): TrainReport => ({
      answered: ({ seconds: _, ...report }) => void answers.push(report),
      step: ({ step, metrics }: StepReport) => {
        steps.push(step);
        losses.push(metrics['train_loss']!);
      },
      ...more,
    });

    const whole = heard();
    await train({ ...options('whole'), report: reportTo(whole) });
    expect(whole.steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(whole.answers.map(({ step }) => step)).toEqual([0, 4, 6]);

    for (const stopAfter of [3, 5]) {
      const parts = heard();
      const stopping = new AbortController();
      const evaluating = () => {
        if (parts.steps.at(-1) === stopAfter) stopping.abort(new Error('paused'));
      };
      let written = '';
      const report = reportTo(parts, {
        evaluating,
        checkpoint: (checkpoint) => {
          written = checkpoint.dir;
        },
      });
      await expect(train({ ...options(`stopped-${stopAfter}`), signal: stopping.signal, report })).rejects.toThrow('paused');
      expect(written).toBe(join(dir, `stopped-${stopAfter}-checkpoints`, String(stopAfter + 1)));
      await train({ ...options(`resumed-${stopAfter}`), resumeFrom: written, report: reportTo(parts) });
      expect(parts).toEqual(whole);
      expect(await weights(`resumed-${stopAfter}`)).toEqual(await weights('whole'));
    }
  });
});
