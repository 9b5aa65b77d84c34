/**
 * Makes models/graft-tiny from scratch: text, tokenizer, random weights, training by Graft's own full fine-tuning, bf16, model card.
 *
 *   GRAFT_PYTHON=/path/to/python node --import tsx scripts/graft-tiny/make.ts [--out out/graft-tiny] [--steps N]
 *
 * Run again after an interruption, it resumes from the newest checkpoint. With --steps N it trains on the first N batches only.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COMPANION_FILES } from '../../src/formats/model-files.ts';
import type { StepReport } from '../../workers/engine/contract.ts';
import { readSafetensors, writeSafetensors } from '../../workers/engine/io/safetensors.ts';
import { train } from '../../workers/engine/train.ts';
import { CONFIG } from './architecture.ts';
import { toJson, writeInitialModel } from './initial-model.ts';
import { modelCard } from './model-card.ts';
import { perplexity } from './perplexity.ts';
import { trainTokenizer, writeTextFiles } from './text-files.ts';

const SEED = 1;
const BATCH_SIZE = 8;
const STEPS = 4000;
const VALIDATION_CONVERSATIONS = 150;
const LEARNING_RATE = 2e-3;
const WEIGHT_DECAY = 0.1;
/** Steps between checkpoints: an interruption costs a few minutes at most. */
const SAVE_STEPS = 200;

const SHIPPED = fileURLToPath(new URL('../../models/graft-tiny', import.meta.url));

const { values } = parseArgs({ options: { out: { type: 'string', default: 'out/graft-tiny' }, steps: { type: 'string', default: String(STEPS) } } });
const steps = Number(values.steps);
const initialDir = join(values.out, 'initial');
const trainedDir = join(values.out, 'trained');
const checkpointsDir = join(values.out, 'checkpoints');

const text = writeTextFiles(values.out, { seed: SEED, training: steps * BATCH_SIZE, validation: VALIDATION_CONVERSATIONS });
writeInitialModel(initialDir, SEED);
trainTokenizer(text.plain, initialDir, process.env['GRAFT_PYTHON'] || 'python3');

const newest = existsSync(checkpointsDir) ? Math.max(0, ...readdirSync(checkpointsDir).map(Number).filter(Number.isInteger)) : 0;
const result = await train({
  modelDir: initialDir,
  trainingFile: text.training,
  validationFile: text.validation,
  outputDir: trainedDir,
  checkpointsDir,
  ...(newest > 0 && { resumeFrom: join(checkpointsDir, String(newest)) }),
  tuning: { type: 'full' },
  hyperparameters: {
    n_epochs: 1,
    batch_size: BATCH_SIZE,
    learning_rate: LEARNING_RATE,
    lr_scheduler_type: 'cosine',
    warmup_ratio: 0.03,
    weight_decay: WEIGHT_DECAY,
    eval_steps: 50,
    save_steps: SAVE_STEPS,
  },
  seed: SEED,
  report: {
    prepared: (facts) => console.log(JSON.stringify(facts)),
    step: (report) => console.log(lineOf(report)),
  },
});

ship(trainedDir);
const heldOut = await perplexity(SHIPPED, text.validation);
writeFileSync(join(SHIPPED, 'README.md'), modelCard({ heldOut, result, seed: SEED, batchSize: BATCH_SIZE, learningRate: LEARNING_RATE }));
console.log(`held-out perplexity ${heldOut.perplexity.toFixed(4)}, token accuracy ${heldOut.accuracy.toFixed(4)}`);

/** Rounds the trained weights to bf16 and writes the model's files to the shipped directory. */
function ship(dir: string): void {
  mkdirSync(SHIPPED, { recursive: true });
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { shape, data }] of readSafetensors(join(dir, 'model.safetensors'))) {
    if (!(data instanceof Float32Array)) throw new Error(`${name} holds integers, not weights`);
    weights.set(name, { shape, data });
  }
  writeSafetensors(join(SHIPPED, 'model.safetensors'), weights, { dtype: 'BF16' });
  writeFileSync(join(SHIPPED, 'config.json'), toJson(CONFIG));
  for (const name of COMPANION_FILES) if (existsSync(join(initialDir, name))) copyFileSync(join(initialDir, name), join(SHIPPED, name));
}

function lineOf({ step, totalSteps, metrics }: StepReport): string {
  const {
    train_loss: loss = Number.NaN,
    learning_rate: rate,
    grad_norm: norm = Number.NaN,
    tokens,
    seconds,
    valid_loss: valid,
    full_valid_loss: fullValid,
  } = metrics;
  const parts = [`step ${step}/${totalSteps}`, `loss ${loss.toFixed(4)}`, `lr ${rate!.toExponential(2)}`, `norm ${norm.toFixed(2)}`];
  parts.push(`${Math.round(tokens! / seconds!)} tokens/s`);
  if (valid !== undefined) parts.push(`validation ${valid.toFixed(4)}`);
  if (fullValid !== undefined) parts.push(`all validation ${fullValid.toFixed(4)}`);
  return parts.join('  ');
}
