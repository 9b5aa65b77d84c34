/**
 * `npm run test:loaders -- [--write]`: trains a model of SmolLM2's shape with the engine, converts the result with llama.cpp's own converters, and
 * compares the probabilities that llama.cpp computes with the engine's. --write puts the table into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { publishResult, table } from '../bench/results-page.ts';
import type { Tuning } from '../src/formats/tuning/tuning.ts';
import { openForInference } from '../workers/engine/compiled/open-model.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { trainWithLineage } from '../workers/engine/train-with-lineage.ts';
import { largestDifference } from './fixtures.ts';
import { checkWithLlamaCpp, type Tools } from './loaders/check.ts';
import type { EvaluatedCase } from './loaders/evaluate.ts';
import type { LlamaCpp } from './loaders/llama-cpp.ts';
import { argmax, readProbabilities, softmax } from './loaders/probabilities.ts';
import { BASE_MODEL_NAME } from './peft-check.ts';

/** Largest |Δ| of a probability. */
const TOLERANCE = 1e-2;
/** If tuning changed the probabilities by less, an adapter that llama.cpp ignores would pass. */
const MIN_CHANGE = 0.1;
const TRAINING_FILE = join(import.meta.dirname, 'peft/train.jsonl');
const TEXTS = [
  '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n',
  '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nUn café ?  2 + 2 = 4 🙂<|im_end|>\n<|im_start|>assistant\nOui, merci.<|im_end|>\n',
  'The old tree and the young one.\n\n    def graft(shoot): return shoot',
];

interface Case {
  name: string;
  tuning: Tuning | null;
  /** What llama.cpp must multiply the adapter's scaling with. */
  scale?: number;
}

const RANK = 4;
const CASES: Case[] = [
  { name: 'the base, before tuning', tuning: null },
  { name: 'LoRA on every linear layer', tuning: { type: 'lora', r: 2 * RANK } },
  {
    name: 'LoRA on `q_proj`, `k_proj` and `down_proj`',
    tuning: { type: 'lora', r: RANK, lora_alpha: 5, target_modules: ['q_proj', 'k_proj', 'down_proj'] },
  },
  // llama.cpp scales by alpha / r, whatever `use_rslora` says.
  {
    name: `rank-stabilised LoRA of rank ${RANK}, \`--lora-scaled\` ${Math.sqrt(RANK)}`,
    tuning: { type: 'lora', r: RANK, use_rslora: true },
    scale: Math.sqrt(RANK),
  },
  { name: 'full', tuning: { type: 'full' } },
];

/** Probabilities of each row of logits [tokens, vocabulary]. */
const softmaxRows = (logits: Float32Array, vocabSize: number): Float32Array[] =>
  Array.from({ length: logits.length / vocabSize }, (_, row) => Float32Array.from(softmax(logits.subarray(row * vocabSize, (row + 1) * vocabSize))));

interface Prepared {
  name: string;
  asked: EvaluatedCase;
  /** The engine's probabilities, a row for each token. */
  rows: Float32Array[];
}

interface Setting {
  llamaCpp: LlamaCpp;
  scratch: string;
  baseModelDir: string;
  baseFile: string;
  sequences: number[][];
}

/** Trains one case and converts its files. */
async function prepare({ name, tuning, scale = 1 }: Case, { llamaCpp, scratch, baseModelDir, baseFile, sequences }: Setting): Promise<Prepared> {
  const dir = mkdtempSync(join(scratch, 'case-'));
  const outputDir = join(dir, 'output');
  const file = join(dir, 'tuned.gguf');
  if (tuning !== null) {
    const hyperparameters = { n_epochs: 10, batch_size: 4, learning_rate: tuning.type === 'full' ? 1e-3 : 1e-2, precision: 'f32' as const };
    await trainWithLineage({
      modelDir: baseModelDir,
      trainingFile: TRAINING_FILE,
      outputDir,
      tuning,
      hyperparameters,
      seed: 1,
      baseModelName: BASE_MODEL_NAME,
    });
    if (tuning.type === 'full') await llamaCpp.convertModel(outputDir, file);
    else await llamaCpp.convertAdapter(outputDir, { baseModelDir, file });
  }
  const isAdapter = tuning !== null && tuning.type !== 'full';
  const modelDir = tuning?.type === 'full' ? outputDir : baseModelDir;
  const model = openForInference({ modelDir, ...(isAdapter && { adapterDir: outputDir }) });
  try {
    const rows = sequences.flatMap((ids) => softmaxRows(model.allLogits(Int32Array.from(ids)), model.config.vocabSize));
    const files = { model: tuning?.type === 'full' ? file : baseFile, adapter: isAdapter ? file : null };
    return { name, asked: { ...files, scale, sequences, probabilitiesFile: join(dir, 'probabilities.f32') }, rows };
  } finally {
    model.dispose();
  }
}

interface Found {
  difference: number;
  otherFirst: number;
  movedBy: number;
}

/** @param base the engine's probabilities before tuning */
function compare({ asked, rows }: Prepared, base: readonly Float32Array[]): Found {
  const theirs = readProbabilities(asked.probabilitiesFile, { rows: rows.length, vocabSize: rows[0]!.length });
  const worst = (other: readonly Float32Array[]) => Math.max(...rows.map((row, index) => largestDifference(row, other[index]!)));
  return {
    difference: worst(theirs),
    otherFirst: rows.filter((row, index) => argmax(row) !== argmax(theirs[index]!)).length,
    movedBy: worst(base),
  };
}

async function run({ python, llamaCpp, scratch }: Tools): Promise<string[]> {
  const baseModelDir = join(scratch, 'base');
  const baseFile = join(scratch, 'base.gguf');
  mkdirSync(baseModelDir);
  execFileSync(python, [join(import.meta.dirname, 'loaders/make_base.py'), llamaCpp.gpt2Dir, baseModelDir], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await llamaCpp.convertModel(baseModelDir, baseFile);
  const tokenizer = await Tokenizer.open(baseModelDir);
  const encoded = await Promise.all(TEXTS.map((text) => tokenizer.encode(text, { addSpecialTokens: false })));
  const sequences = encoded.map(({ ids }) => [...ids]);

  console.error(`training and converting ${CASES.length} cases …`);
  const prepared: Prepared[] = [];
  for (const one of CASES) prepared.push(await prepare(one, { llamaCpp, scratch, baseModelDir, baseFile, sequences }));
  const idsFile = join(scratch, 'ids.json');
  const [first, ...others] = prepared.map(({ asked }) => asked);
  await llamaCpp.evaluate(scratch, [{ ...first!, tokenized: { texts: TEXTS, idsFile } }, ...others]);

  const problems: string[] = [];
  if (!isDeepStrictEqual(JSON.parse(readFileSync(idsFile, 'utf8')), sequences)) problems.push('llama.cpp makes other ids of the texts');
  const rows = prepared.map((one) => {
    const { difference, otherFirst, movedBy } = compare(one, prepared[0]!.rows);
    // Written so that NaN fails.
    if (!(difference <= TOLERANCE)) problems.push(`${one.name}: probabilities differ by ${difference}; at most ${TOLERANCE} is allowed`);
    if (otherFirst > 0) problems.push(`${one.name}: another token is the most probable one in ${otherFirst} places`);
    if (one !== prepared[0] && !(movedBy >= MIN_CHANGE)) problems.push(`${one.name}: tuning changed the probabilities by only ${movedBy}`);
    const moved = one === prepared[0] ? '–' : movedBy.toFixed(2);
    return [one.name, difference.toExponential(1), `${otherFirst} of ${one.rows.length}`, moved];
  });
  publishResult('loaders', table(['tuned', `probabilities (${TOLERANCE.toExponential(1)})`, 'other first token', 'changed by tuning'], rows));
  return problems;
}

process.exitCode = await checkWithLlamaCpp('loaders', run);
