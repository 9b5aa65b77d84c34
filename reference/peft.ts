/**
 * `npm run test:peft -- [--write]`: trains with the engine, loads the result with PEFT and transformers, and compares their numbers. --write puts the
 * largest differences into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWriting, writeResult } from '../bench/results-page.ts';
import { readModelConfig } from '../workers/engine/model/weights.ts';
import { LOSS_TOLERANCE, MIN_CHANGE, type TrainedCase, trainedCases } from './peft-case.ts';
import { askPython, LOGITS_TOLERANCE, mergedModel, type PeftAnswer, randomAdapter } from './peft-check.ts';
import { pythonEnvironment } from './python/environment.ts';

const ROOT = join(import.meta.dirname, '..');

const gqaTied = join(ROOT, 'test/fixtures/reference/cases/llama-gqa-tied/model');
const untied = join(ROOT, 'test/fixtures/reference/cases/llama-untied-v4/model');
const graftTiny = join(ROOT, 'models/graft-tiny');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const LORA = { type: 'lora', r: 4 } as const;

const CASES: TrainedCase[] = [
  {
    name: 'tied head, LoRA on all-linear, base by its path',
    modelDir: gqaTied,
    tuning: { type: 'lora', r: 8, lora_alpha: 16 },
    base: { name: gqaTied },
  },
  {
    name: 'tied head, rank-stabilised LoRA on q, v and down with dropout',
    modelDir: gqaTied,
    tuning: { type: 'lora', r: 3, lora_alpha: 5, lora_dropout: 0.2, target_modules: ['q_proj', 'v_proj', 'down_proj'], use_rslora: true },
  },
  { name: 'tied head, full', modelDir: gqaTied, tuning: { type: 'full' }, hyperparameters: { weight_decay: 0.1 } },
  { name: 'untied head and biases, LoRA on all-linear with dropout', modelDir: untied, tuning: { type: 'lora', r: 4, lora_dropout: 0.05 } },
  { name: 'untied head and biases, full, stored in bf16', modelDir: untied, tuning: { type: 'full' } },
  {
    name: 'graft-tiny, LoRA, base by its name and commit on the hub',
    modelDir: graftTiny,
    tuning: { type: 'lora' },
    base: { name: 'graft/graft-tiny', revision: COMMIT },
  },
  { name: 'graft-tiny, full', modelDir: graftTiny, tuning: { type: 'full' }, hyperparameters: { learning_rate: 1e-3, n_epochs: 2 } },
  { name: 'tied head, (IA)³', modelDir: gqaTied, tuning: { type: 'ia3' }, hyperparameters: { learning_rate: 0.03 } },
  {
    name: 'untied head and biases, (IA)³ on all-linear',
    modelDir: untied,
    tuning: { type: 'ia3', target_modules: 'all-linear', feedforward_modules: [] },
  },
  {
    name: 'tied head, VeRA with dropout',
    modelDir: gqaTied,
    tuning: { type: 'vera', r: 16, vera_dropout: 0.1 },
    hyperparameters: { learning_rate: 0.03 },
  },
  { name: 'graft-tiny, VeRA on all-linear', modelDir: graftTiny, tuning: { type: 'vera', r: 32, target_modules: 'all-linear' } },
  { name: 'tied head, prompt tuning', modelDir: gqaTied, tuning: { type: 'prompt', num_virtual_tokens: 6 }, hyperparameters: { learning_rate: 0.1 } },
  {
    name: 'graft-tiny, prefix tuning',
    modelDir: graftTiny,
    tuning: { type: 'prefix', num_virtual_tokens: 4 },
    hyperparameters: { learning_rate: 0.03 },
  },
  { name: 'untied head and biases, BitFit', modelDir: untied, tuning: { type: 'bitfit' }, hyperparameters: { learning_rate: 0.02 } },
  { name: 'tied head, full on the last block', modelDir: gqaTied, tuning: { type: 'full', layers_to_transform: [1], freeze_embeddings: true } },
  {
    name: 'tied head, LoRA with patterns and LoRA+',
    modelDir: gqaTied,
    tuning: { ...LORA, rank_pattern: { q_proj: 2, 'layers\\.1\\..*': 6 }, alpha_pattern: { '(k|v)_proj': 5 }, loraplus_lr_ratio: 4 },
  },
  {
    name: 'untied head, LoRA by an expression, with an exclusion',
    modelDir: untied,
    tuning: {
      ...LORA,
      target_modules: 'model\\.layers\\.\\d+\\..*(q|up)_proj',
      exclude_modules: '.*\\.0\\.mlp\\..*',
      init_lora_weights: 'orthogonal',
    },
  },
  {
    name: 'untied head, LoRA on two blocks',
    modelDir: untied,
    tuning: {
      ...LORA,
      target_modules: ['q_proj', 'down_proj'],
      layers_to_transform: [0, 2],
      layers_pattern: 'layers',
      init_lora_weights: 'gaussian',
    },
  },
  { name: 'untied head, DoRA with dropout', modelDir: untied, tuning: { ...LORA, use_dora: true, lora_dropout: 0.1 } },
  { name: 'tied head, PiSSA', modelDir: gqaTied, tuning: { ...LORA, init_lora_weights: 'pissa', rank_pattern: { q_proj: 2 } } },
  { name: 'untied head, OLoRA', modelDir: untied, tuning: { ...LORA, init_lora_weights: 'olora', use_rslora: true } },
  { name: 'untied head, LoRA with all biases', modelDir: untied, tuning: { ...LORA, bias: 'all' } },
  { name: 'untied head, LoRA with head and norms', modelDir: untied, tuning: { ...LORA, modules_to_save: ['lm_head', 'norm'] } },
  { name: 'untied head, LoRA on head and embedding', modelDir: untied, tuning: { ...LORA, target_modules: ['lm_head', 'embed_tokens', 'v_proj'] } },
];

/** @param folder of the models that reference/peft/make_multimodal.py writes */
function multimodalCases(folder: string): TrainedCase[] {
  const [gemma3, qwen35] = [join(folder, 'gemma3'), join(folder, 'qwen3_5')];
  const fast = { learning_rate: 0.03 };
  return [
    { name: 'Gemma 3 with vision, LoRA on q and down', modelDir: gemma3, tuning: { ...LORA, target_modules: ['q_proj', 'down_proj'] } },
    { name: 'Gemma 3 with vision, full', modelDir: gemma3, tuning: { type: 'full' } },
    { name: 'Gemma 3 with vision, DoRA with norms', modelDir: gemma3, tuning: { ...LORA, use_dora: true, modules_to_save: ['norm'] } },
    {
      name: 'Gemma 3 with vision, (IA)³',
      modelDir: gemma3,
      tuning: { type: 'ia3', target_modules: ['k_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
      hyperparameters: fast,
    },
    {
      name: 'Gemma 3 with vision, prompt tuning',
      modelDir: gemma3,
      tuning: { type: 'prompt', num_virtual_tokens: 6 },
      hyperparameters: { learning_rate: 0.1 },
    },
    { name: 'Gemma 3 with vision, prefix tuning', modelDir: gemma3, tuning: { type: 'prefix', num_virtual_tokens: 4 }, hyperparameters: fast },
    { name: 'Qwen 3.5 with vision, LoRA on all-linear', modelDir: qwen35, tuning: LORA },
    {
      name: 'Qwen 3.5 with vision, LoRA on its second block, head and embedding',
      modelDir: qwen35,
      tuning: { ...LORA, target_modules: '.*(layers\\.1\\..*_proj|lm_head|embed_tokens)' },
    },
    { name: 'Qwen 3.5 with vision, VeRA', modelDir: qwen35, tuning: { type: 'vera', r: 32, target_modules: 'all-linear' } },
    { name: 'Qwen 3.5 with vision, full', modelDir: qwen35, tuning: { type: 'full' } },
  ];
}

/**
 * Families that are not trained: the engine writes an adapter with random values, and PEFT reads it. Merged into a multimodal model, transformers opens the
 * whole of it.
 */
const FAMILIES_DIR = join(ROOT, 'test/fixtures/reference/families');
const FAMILIES = readdirSync(FAMILIES_DIR);

function failures({ problems, logitsDifference = Number.NaN, movedBy = Number.NaN, lossDifference = Number.NaN }: PeftAnswer): string[] {
  // Written so that NaN fails.
  const found = [...problems];
  if (!(logitsDifference <= LOGITS_TOLERANCE)) found.push(`the logits differ by ${logitsDifference}; at most ${LOGITS_TOLERANCE} is allowed`);
  if (lossDifference !== null && !(lossDifference <= LOSS_TOLERANCE))
    found.push(`the validation loss differs by ${lossDifference}; at most ${LOSS_TOLERANCE} is allowed`);
  if (!(movedBy >= MIN_CHANGE)) found.push(`tuning changed the logits by only ${movedBy}; at least ${MIN_CHANGE} is expected`);
  return found;
}

const row = (cells: [string, string, string, string, string, string]): string =>
  cells.map((cell, column) => (column === 0 ? cell.padEnd(64) : cell.padStart(16))).join('');
const small = (value: number | null | undefined): string => (value === undefined || value === null ? '–' : value.toExponential(1));
const plain = (value: number | null | undefined): string => (value === undefined || value === null ? '–' : value.toFixed(4));

async function main(): Promise<number> {
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-peft-'));
  try {
    const folder = join(scratch, 'multimodal');
    execFileSync(python, [join(import.meta.dirname, 'peft/make_multimodal.py'), folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    const requests = await trainedCases(scratch, [...CASES, ...multimodalCases(folder)]);
    for (const family of FAMILIES) {
      const modelDir = join(FAMILIES_DIR, family, 'model');
      const adapter = randomAdapter(scratch, family, modelDir);
      requests.push(adapter);
      if (readModelConfig(modelDir).otherTowers !== undefined) requests.push(await mergedModel(scratch, adapter));
    }
    const checked = askPython(python, scratch, requests);

    console.log(row(['', 'logits, max |Δ|', 'largest logit', 'Δ by tuning', 'loss, |Δ|', 'loss']));
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
    const worst = (pick: (one: PeftAnswer) => number | null | undefined) =>
      small(
        Math.max(
          ...checked
            .map(pick)
            .filter((value) => value !== null)
            .map((value) => value ?? Number.NaN),
        ),
      );
    const logits = `logits ${worst((one) => one.logitsDifference)} (allowed ${small(LOGITS_TOLERANCE)})`;
    const loss = `loss ${worst((one) => one.lossDifference)} (allowed ${small(LOSS_TOLERANCE)})`;
    const verdict = `${checked.length - failed} passed, ${failed + missing} failed; worst: ${logits}, ${loss}`;
    console.log(verdict);
    if (isWriting) writeResult('peft', verdict);
    return failed + missing === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
