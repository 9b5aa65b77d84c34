import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import type { Hyperparameters } from '../../../src/formats/hyperparameters.ts';
import type { TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { microBatches } from '../../../workers/engine/data/batches.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { addSums, NO_SUMS } from '../../../workers/engine/objectives/objective.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { train } from '../../../workers/engine/train.ts';

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');
/** What the teacher finds of each token, and of the two that follow it in the vocabulary. */
const PROBABILITIES = [0.6, 0.25, 0.1];
const ANSWERS = ['The garden in the morning.', 'An old tree.', 'The capital of France is Paris.', 'Rain falls on the lazy dog.'];

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'graft-distillation-'));
  writeFileSync(join(dir, 'training.jsonl'), await conversations(0, 40));
  writeFileSync(join(dir, 'validation.jsonl'), await conversations(100, 6));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Of one and of two turns; the first of two has no teacher. */
async function conversations(from: number, count: number): Promise<string> {
  const tokenizer = await Tokenizer.open(modelDir);
  const user = (content: string) => ({ role: 'user', content });
  const lines = [];
  for (let index = from; index < from + count; index++) {
    const content = ANSWERS[index % ANSWERS.length]!;
    const { ids } = await tokenizer.encode(content, { addSpecialTokens: false });
    const tokens = [];
    for (const id of ids) {
      const top = [];
      for (const [rank, p] of PROBABILITIES.entries()) {
        const bytes = [...(await tokenizer.bytes(10 + ((id - 10 + rank) % 370)))];
        top.push({ token: Buffer.from(bytes).toString(), logprob: Math.log(p), bytes });
      }
      tokens.push({ ...top[0], top_logprobs: top });
    }
    const earlier = index % 3 === 0 ? [user('Well?'), { role: 'assistant', content: 'Yes.' }] : [];
    lines.push({ messages: [...earlier, user(`Question ${index}?`), { role: 'assistant', content, logprobs: { content: tokens } }] });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

const optionsOf = (name: string, hyperparameters: Hyperparameters & object, given: Partial<TrainOptions> = {}): TrainOptions => ({
  modelDir,
  trainingFile: join(dir, 'training.jsonl'),
  validationFile: join(dir, 'validation.jsonl'),
  outputDir: join(dir, name),
  objective: 'distillation',
  tuning: { type: 'lora', r: 4 },
  hyperparameters: { batch_size: 20, learning_rate: 5e-3, precision: 'f32', ...hyperparameters },
  seed: 1,
  ...given,
});

describe('a student of a teacher', () => {
  it.each([
    ['lora', { type: 'lora', r: 4 }, {}, 0.9],
    ['full, with gradient checkpointing', { type: 'full' }, { learning_rate: 1e-3, gradient_checkpointing: true }, 0.9],
    ['bf16', { type: 'lora', r: 4 }, { precision: 'bf16' }, 0.9],
    ['prompt tuning', { type: 'prompt', num_virtual_tokens: 4 }, { learning_rate: 3e-2 }, 1],
  ] as const)('trained with %s › diverges less from it, also on examples that it has not seen', async (name, tuning, settings, share) => {
    const measured: Record<string, number>[] = [];
    let receipt: TokenReceipt | undefined;
    const report: TrainOptions['report'] = {
      step: ({ metrics }) => void measured.push(metrics),
      receipt: (given) => {
        receipt = given;
      },
    };
    await train(optionsOf(name, { max_steps: 30, eval_steps: 1, ...settings }, { tuning, report }));
    const [first, last] = [measured[0]!, measured.at(-1)!];
    for (const loss of ['train_kd_loss', 'valid_kd_loss', 'train_ce_loss', 'train_loss']) expect(last[loss], loss).toBeLessThan(share * first[loss]!);
    expect(last['full_valid_kd_loss']).toBeGreaterThan(0);
    expect(last['train_mean_token_accuracy']).toBeGreaterThanOrEqual(0);
    const { training } = receipt!;
    expect(training.teacher_tokens).toBeGreaterThan(0);
    expect(training.teacher_tokens).toBeLessThan(training.supervised_tokens);
  });

  it('that has learned what it can › is as uncertain as its teacher', async () => {
    const measured: Record<string, number>[] = [];
    const settings = { max_steps: 200, batch_size: 10, learning_rate: 3e-3, kd_alpha: 1, kd_ce_alpha: 0 };
    await train(optionsOf('long', settings, { tuning: { type: 'full' }, report: { step: ({ metrics }) => void measured.push(metrics) } }));
    const last = measured.at(-1)!;
    expect(last['train_kd_loss']).toBeLessThan(0.05);
    // −log of the teacher's share of the token itself, among those that it lists; the ends of turns are certain.
    expect(last['train_ce_loss']).toBeGreaterThan(0.3);
  });
});

describe('the sums of a file', () => {
  it('are the same in passes of any size', async () => {
    const run = await prepare(optionsOf('sums', { max_steps: 1, kd_temperature: 2 } as Hyperparameters));
    try {
      const sumsWith = (tokenBudget: number) =>
        [...microBatches(run.training.examples, { tokenBudget })].reduce((sums, batch) => addSums(sums, run.model.evaluate(batch)), NO_SUMS);
      const [small, large] = [sumsWith(64), sumsWith(4096)];
      expect(Object.keys(small).sort()).toEqual(['correct', 'cross_entropy', 'divergence', 'loss', 'taught_weight', 'targets', 'weight'].sort());
      for (const [name, value] of Object.entries(large)) expect(Math.abs(small[name]! / value - 1), name).toBeLessThan(1e-5);
    } finally {
      run.dispose();
    }
  });
});

describe('a run that is resumed', () => {
  it('in the middle, with tokens that were kept › writes the bytes of one that was not', async () => {
    const given = { tokensDir: join(dir, 'tokens') };
    const settings = { max_steps: 4 };
    const whole = await train(optionsOf('whole', settings, { ...given, checkpointsDir: join(dir, 'checkpoints') }));
    const again = await train(optionsOf('again', settings, { ...given, resumeFrom: join(dir, 'checkpoints', '2') }));
    for (const name of whole.files)
      expect(readFileSync(join(again.outputDir, name)).equals(readFileSync(join(whole.outputDir, name))), name).toBe(true);
  });
});
