/**
 * `npm run bench:estimate -- [--only TEXT] [--write]`: compares the peak memory that is estimated from config.json with what a dry run measures in a
 * training process of its own. Weights are random, in the shape of SmolLM2-135M and of smaller models; examples have just the length that is named.
 * Prints a table and one JSON line; --write puts the rows into docs/results.md, where rows of cases that were not run stay.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainingEnvironment } from '../src/config.ts';
import type { DryRun } from '../src/formats/dry-run.ts';
import type { Precision } from '../src/formats/hyperparameters.ts';
import type { Tuning } from '../src/formats/tuning/tuning.ts';
import { forkTraining } from '../workers/process/forked.ts';
import { publishResult, thisMachine, updatedTable } from './results-page.ts';
import { type Shape, SMOLLM2_135M } from './smollm-shapes.ts';
import { writeConversations, writeSmolLm } from './start-job.ts';

const { values: options } = parseArgs({ options: { only: { type: 'string', default: '' }, write: { type: 'boolean', default: false } } });

const GRAFT_TINY = 'graft-tiny';
const TINY_DIR = join(import.meta.dirname, '../models', GRAFT_TINY);
/** What is promised. */
const TOLERANCE = 0.1;

interface Case {
  model: Shape | typeof GRAFT_TINY;
  tuning: Tuning;
  precision: Precision;
  checkpointing?: boolean;
  batch: number;
  length: number;
}

const lora = (r = 16): Tuning => ({ type: 'lora', r });
const full: Tuning = { type: 'full' };
const CASES: Case[] = [
  { model: GRAFT_TINY, tuning: lora(), precision: 'f32', batch: 4, length: 256 },
  { model: GRAFT_TINY, tuning: lora(), precision: 'bf16', batch: 16, length: 64 },
  { model: GRAFT_TINY, tuning: full, precision: 'f32', batch: 4, length: 256 },
  { model: '11m', tuning: full, precision: 'f32', batch: 1, length: 2048 },
  { model: '50m', tuning: full, precision: 'f32', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'f32', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'f32', batch: 1, length: 128 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'f32', batch: 1, length: 2048 },
  { model: SMOLLM2_135M, tuning: lora(64), precision: 'f32', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'bf16', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'f32', checkpointing: true, batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: lora(), precision: 'bf16', checkpointing: true, batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: full, precision: 'f32', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: full, precision: 'bf16', batch: 4, length: 256 },
  { model: SMOLLM2_135M, tuning: full, precision: 'f32', checkpointing: true, batch: 1, length: 1024 },
];

function nameOf({ model, tuning, precision, checkpointing = false, batch, length }: Case): string {
  const how = tuning.type === 'lora' ? `LoRA of rank ${tuning.r}` : 'full';
  const size = model === GRAFT_TINY ? model : model.toUpperCase();
  return `${size}, ${how}, ${precision}${checkpointing ? ', checkpointing' : ''}, ${batch} × ${length}`;
}

const work = mkdtempSync(join(tmpdir(), 'graft-estimate-'));

async function modelDir(model: Case['model']): Promise<string> {
  if (model === GRAFT_TINY) return TINY_DIR;
  const dir = join(work, model);
  if (!existsSync(dir)) await writeSmolLm(dir, { shape: model, tokenizerDir: TINY_DIR, fullVocabulary: true });
  return dir;
}

async function measure({ model, tuning, precision, checkpointing = false, batch, length }: Case): Promise<DryRun> {
  const dir = mkdtempSync(join(work, 'case-'));
  const trainingFile = join(dir, 'chats.jsonl');
  writeConversations(trainingFile, { examples: Math.max(2, batch), words: Math.ceil(1.2 * length) });
  const training = forkTraining({ env: trainingEnvironment() });
  try {
    const answers = training.dryRun({
      modelDir: await modelDir(model),
      trainingFile,
      outputDir: join(dir, 'output'),
      checkpointsDir: join(dir, 'checkpoints'),
      tuning,
      hyperparameters: {
        n_epochs: 1,
        batch_size: batch,
        max_length: length,
        truncation: 'right',
        precision,
        gradient_checkpointing: checkpointing,
      },
      seed: 0,
    });
    for await (const answer of answers) {
      if (answer.answer === 'measured') return answer.dryRun;
      if (answer.answer === 'failed') throw new Error(answer.error.message);
    }
    throw new Error('the dry run ended without an answer');
  } finally {
    await training.kill();
    rmSync(dir, { recursive: true, force: true });
  }
}

const HEAD = ['model, tuning, examples × tokens', 'estimated', 'measured', 'off by'];
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const signed = (share: number): string => `${share >= 0 ? '+' : '−'}${(100 * Math.abs(share)).toFixed(1)} %`;

try {
  const results = [];
  for (const one of CASES.filter((one) => nameOf(one).includes(options.only))) {
    const { memory } = await measure(one);
    const estimated = memory.estimate!.total_bytes;
    const result = { case: nameOf(one), estimated, measured: memory.peak_bytes, error: estimated / memory.peak_bytes - 1, parts: memory.estimate };
    console.error(`${result.case}: ${megabytes(estimated)} estimated, ${megabytes(result.measured)} measured, ${signed(result.error)}`);
    results.push(result);
  }
  const rows = results.map((result) => [result.case, megabytes(result.estimated), megabytes(result.measured), signed(result.error)]);
  const rowsTable = updatedTable('estimate', { head: HEAD, rows, order: CASES.map(nameOf) });
  publishResult('estimate', `${rowsTable}\n\nMeasured on ${thisMachine()}.`);
  const beyond = results.filter(({ error }) => Math.abs(error) > TOLERANCE).map((result) => result.case);
  console.log(JSON.stringify({ bench: 'estimate', machine: thisMachine(), tolerance: TOLERANCE, beyond, results }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
