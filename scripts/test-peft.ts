/** `npm run test:peft`: trains with the engine, loads the result with PEFT and transformers, and compares the two's numbers. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hyperparameters } from '../src/formats/hyperparameters.ts';
import { resolveTuning, type Tuning } from '../src/formats/tuning.ts';
import { ChatTemplate } from '../workers/engine/data/chat-template.ts';
import { readDataset } from '../workers/engine/data/dataset.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { evaluate } from '../workers/engine/evaluate.ts';
import { saveAdapter } from '../workers/engine/io/adapter.ts';
import { tf } from '../workers/engine/tensorflow.ts';
import { trainWithLineage } from '../workers/engine/train-with-lineage.ts';
import { uniform } from '../workers/engine/tuning/random.ts';
import { openForInference, openTunedModel, type TunedModel } from '../workers/engine/tuning/tuned-model.ts';
import { pythonEnvironment } from './python-environment.ts';

const ROOT = join(import.meta.dirname, '..');
const TESTS = join(ROOT, 'test/peft');
const TRAINING_FILE = join(TESTS, 'train.jsonl');
const VALIDATION_FILE = join(TESTS, 'validation.jsonl');
const BASE_MODEL_NAME = 'a-base-model';

/** Max abs difference of a logit, and difference of the mean loss in nats, that f32 sums in another order may make. */
const LOGITS_TOLERANCE = 1e-4;
const LOSS_TOLERANCE = 1e-5;
/** A tuned model whose logits are nearly its base's would pass whatever we wrote. */
const LEAST_MOVE = 0.01;

interface Case {
  name: string;
  modelDir: string;
  tuning: Tuning;
  hyperparameters?: Hyperparameters;
}

const gqaTied = join(ROOT, 'test/fixtures/reference/cases/llama-gqa-tied/model');
const untied = join(ROOT, 'test/fixtures/reference/cases/llama-untied-v4/model');
const graftTiny = join(ROOT, 'models/graft-tiny');
const CASES: Case[] = [
  { name: 'tied head, LoRA on all-linear', modelDir: gqaTied, tuning: { type: 'lora', r: 8, lora_alpha: 16 } },
  {
    name: 'tied head, rank-stabilised LoRA on q, v and down with dropout',
    modelDir: gqaTied,
    tuning: { type: 'lora', r: 3, lora_alpha: 5, lora_dropout: 0.2, target_modules: ['q_proj', 'v_proj', 'down_proj'], use_rslora: true },
  },
  { name: 'tied head, full', modelDir: gqaTied, tuning: { type: 'full' }, hyperparameters: { weight_decay: 0.1 } },
  { name: 'own head and biases, LoRA on all-linear with dropout', modelDir: untied, tuning: { type: 'lora', r: 4, lora_dropout: 0.05 } },
  { name: 'own head and biases, full, stored in bf16', modelDir: untied, tuning: { type: 'full' } },
  { name: 'graft-tiny, LoRA', modelDir: graftTiny, tuning: { type: 'lora' } },
  { name: 'graft-tiny, full', modelDir: graftTiny, tuning: { type: 'full' }, hyperparameters: { learning_rate: 1e-3, n_epochs: 2 } },
];

/** Families of which nothing is trained: an adapter with random values is written, and read by PEFT. */
const FAMILIES_DIR = join(ROOT, 'test/fixtures/reference/families');
const FAMILIES = readdirSync(FAMILIES_DIR);

interface Checked {
  name: string;
  problems: string[];
  logitsDifference?: number;
  largestLogit?: number;
  movedBy?: number;
  validLoss?: number | null;
  /** null where no loss is compared. */
  lossDifference?: number | null;
}

interface Request {
  name: string;
  baseModelDir: string;
  baseModelName: string;
  outputDir: string;
  tuning: Tuning['type'];
  sequences: number[][];
  logitsFile: string;
  validationFile: string | null;
  validLoss: number | null;
}

/** Trains one case and says what the engine makes of the delivered files. */
async function prepareCase(scratch: string, index: number, { name, modelDir, tuning, hyperparameters }: Case): Promise<Request> {
  const outputDir = join(scratch, `${index}`, 'output');
  mkdirSync(join(scratch, `${index}`));
  const result = await trainWithLineage({
    modelDir,
    trainingFile: TRAINING_FILE,
    validationFile: VALIDATION_FILE,
    outputDir,
    tuning,
    hyperparameters: { n_epochs: 4, batch_size: 3, learning_rate: 5e-3, ...hyperparameters },
    seed: index + 1,
    baseModelName: BASE_MODEL_NAME,
  });
  const model = openForInference(tuning.type === 'full' ? { modelDir: outputDir } : { modelDir, adapterDir: outputDir });
  try {
    const logits = writeLogits(model, join(scratch, `${index}`));
    const reloaded = await validationLoss(model, modelDir);
    // Storing in 16 bits rounds a fully tuned model; an adapter is delivered as it was when the loss was reported.
    const reported = result.last.fullValidLoss;
    if (tuning.type !== 'full' && reported !== reloaded) throw new Error(`${name}: the run said ${reported}, its files ${reloaded}`);
    const inPython = { name, baseModelDir: modelDir, baseModelName: BASE_MODEL_NAME, outputDir, tuning: tuning.type };
    return { ...inPython, ...logits, validationFile: VALIDATION_FILE, validLoss: reloaded };
  } finally {
    model.dispose();
  }
}

/** Writes an adapter whose B is random, and says what the engine makes of the file. */
function prepareFamily(scratch: string, family: string): Request {
  const modelDir = join(FAMILIES_DIR, family, 'model');
  const outputDir = join(scratch, family, 'output');
  mkdirSync(outputDir, { recursive: true });
  const fresh = openTunedModel({ modelDir, tuning: resolveTuning({ type: 'lora', r: 4 }), seed: 1 });
  for (const [name, B] of fresh.trainable) {
    if (name.includes('lora_B')) tf.tidy(() => B.assign(tf.tensor(uniform(B.size, { bound: 0.3, seed: 2, name }), B.shape)));
  }
  saveAdapter(fresh, outputDir, { baseModelName: BASE_MODEL_NAME });
  fresh.dispose();
  const model = openForInference({ modelDir, adapterDir: outputDir });
  const logits = writeLogits(model, join(scratch, family));
  model.dispose();
  const inPython = { name: family, baseModelDir: modelDir, baseModelName: BASE_MODEL_NAME, outputDir, tuning: 'lora' as const };
  return { ...inPython, ...logits, validationFile: null, validLoss: null };
}

function writeLogits(model: TunedModel, dir: string): Pick<Request, 'sequences' | 'logitsFile'> {
  const sequences = [5, 17, 40].map((length) => someIds(Math.min(length, model.config.maxPositionTokens), model.config.vocabSize));
  const logitsFile = join(dir, 'logits.f32');
  writeFileSync(logitsFile, Buffer.concat(sequences.map((ids) => Buffer.from(model.allLogits(ids).slice().buffer))));
  return { sequences: sequences.map((ids) => [...ids]), logitsFile };
}

/** Ids spread over the whole vocabulary. */
const someIds = (length: number, vocabSize: number): Int32Array =>
  Int32Array.from({ length }, (_, index) => (index * 7919 + 31 * length) % vocabSize);

async function validationLoss(model: TunedModel, modelDir: string): Promise<number> {
  const tokenizer = await Tokenizer.open(modelDir);
  const template = await ChatTemplate.open(tokenizer, new Date());
  const { vocabSize, maxPositionTokens } = model.config;
  const { examples } = await readDataset(VALIDATION_FILE, {
    param: 'validation_file',
    tokenizer,
    template,
    vocabSize,
    maxLengthTokens: maxPositionTokens,
    truncation: 'error',
  });
  return (await evaluate(model, examples)).loss;
}

function failures({ problems, logitsDifference = Number.NaN, movedBy = Number.NaN, lossDifference = Number.NaN }: Checked): string[] {
  // Written so that NaN fails.
  const found = [...problems];
  if (!(logitsDifference <= LOGITS_TOLERANCE)) found.push(`logits differ by ${logitsDifference}; ${LOGITS_TOLERANCE} is allowed`);
  if (lossDifference !== null && !(lossDifference <= LOSS_TOLERANCE))
    found.push(`the validation loss differs by ${lossDifference}; ${LOSS_TOLERANCE} is allowed`);
  if (!(movedBy >= LEAST_MOVE)) found.push(`tuning moved the logits by ${movedBy} only`);
  return found;
}

const row = (cells: [string, string, string, string, string, string]): string =>
  cells.map((cell, column) => (column === 0 ? cell.padEnd(64) : cell.padStart(16))).join('');
const small = (value: number | null | undefined): string => (value === undefined || value === null ? '–' : value.toExponential(1));
const plain = (value: number | null | undefined): string => (value === undefined || value === null ? '–' : value.toFixed(4));

async function main(): Promise<number> {
  const python = pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-peft-'));
  try {
    const requests: Request[] = [];
    for (const [index, one] of CASES.entries()) {
      console.error(`training: ${one.name}`);
      requests.push(await prepareCase(scratch, index, one));
    }
    for (const family of FAMILIES) requests.push(prepareFamily(scratch, family));
    const request = join(scratch, 'request.json');
    writeFileSync(request, JSON.stringify(requests));
    const answers = execFileSync(python, [join(TESTS, 'check.py'), request], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    const checked = answers
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Checked);

    console.log(row(['', 'logits, max |Δ|', 'largest logit', 'tuning moved', 'loss, |Δ|', 'loss']));
    let failed = 0;
    for (const one of checked) {
      const { name, logitsDifference, largestLogit, movedBy, lossDifference, validLoss } = one;
      const found = failures(one);
      if (found.length > 0) failed += 1;
      const numbers = [small(logitsDifference), plain(largestLogit), plain(movedBy), small(lossDifference), plain(validLoss)] as const;
      console.log(row([`${found.length === 0 ? '✓' : '✗'} ${name}`, ...numbers]));
      for (const problem of found) console.log(`    ${problem}`);
    }
    const missing = requests.length - checked.length;
    const worst = (pick: (one: Checked) => number | null | undefined) =>
      small(
        Math.max(
          ...checked
            .map(pick)
            .filter((value) => value !== null)
            .map((value) => value ?? Number.NaN),
        ),
      );
    console.log(
      `worst: logits ${worst((one) => one.logitsDifference)} (allowed ${LOGITS_TOLERANCE}), loss ${worst((one) => one.lossDifference)} (allowed ${LOSS_TOLERANCE})`,
    );
    console.log(`${checked.length - failed} passed, ${failed + missing} failed`);
    return failed + missing === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
