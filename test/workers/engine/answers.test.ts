import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { continueGreedily } from '../../../workers/engine/answers/continue.ts';
import { openForInference } from '../../../workers/engine/compiled/open-model.ts';
import type { AnswerReport, StepReport, TrainOptions, TrainReport } from '../../../workers/engine/contract.ts';
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
