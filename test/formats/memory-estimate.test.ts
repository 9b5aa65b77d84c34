import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../reference/fixtures.ts';
import { estimateMemory } from '../../src/formats/memory-estimate.ts';
import { weightShapes } from '../../src/formats/module-shapes.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { resolveTuning } from '../../src/formats/tuning/tuning.ts';

const configOf = (family: string) => {
  const path = join(referencePath('families', family, 'model'), 'config.json');
  return parseModelConfig(JSON.parse(readFileSync(path, 'utf8')), path);
};

const estimated = (family: string, { type, precision, tokens = 1024 }: { type: 'lora' | 'full'; precision: 'f32' | 'bf16'; tokens?: number }) =>
  estimateMemory({
    config: configOf(family),
    tuning: resolveTuning(type === 'lora' ? { type, r: 4 } : { type }),
    precision,
    storedInBf16: false,
    gradientCheckpointing: false,
    pass: { tokens, supervisedTokens: tokens },
  });

/** Bytes that the recorded graph keeps of a block for each token, counted from the minimum cut: LoRA of rank 4 in f32 and bf16, full in f32 and bf16. */
const KEPT: Record<string, [number, number, number, number]> = {
  gemma: [1086, 552, 976, 624],
  gemma2: [1552, 792, 1440, 768],
  gemma3: [1555, 805, 1443, 771],
  gpt2: [1366, 1054, 1304, 736],
  'gpt-neox': [874, 558, 812, 476],
  phi3: [1046, 536, 984, 632],
  olmo2: [1168, 600, 1056, 576],
  qwen3: [1310, 680, 1200, 752],
  qwen2: [1094, 560, 984, 632],
};
const CASES = [
  { type: 'lora', precision: 'f32' },
  { type: 'lora', precision: 'bf16' },
  { type: 'full', precision: 'f32' },
  { type: 'full', precision: 'bf16' },
] as const;

/** The same of a model whose last blocks have wider MLPs and queries alone, and whose blocks have inputs of their own. */
const KEPT_BY_GEMMA4 = [1693, 913, 1565, 877];

describe('the activations of gemma4', () => {
  it.each(CASES.map((one, index) => ({ ...one, bytes: KEPT_BY_GEMMA4[index]! })))(
    'are what the graph keeps, or up to a seventh more: $type, $precision',
    (one) => {
      const perToken = estimated('gemma4', one).activations_bytes / 1024 / configOf('gemma4').layers;
      expect(perToken / one.bytes).toBeGreaterThan(0.98);
      expect(perToken / one.bytes).toBeLessThan(1 + 1 / 7);
    },
  );
});

describe.each(Object.entries(KEPT))('the activations of %s', (family, kept) => {
  it.each(CASES.map((one, index) => ({ ...one, bytes: kept[index]! })))('are what the graph keeps: $type, $precision, within a tenth', (one) => {
    const perToken = estimated(family, one).activations_bytes / 1024 / configOf(family).layers;
    expect(Math.abs(perToken / one.bytes - 1)).toBeLessThan(0.1);
  });
});

describe('an estimate of memory', () => {
  it('with moments in 8 bits counts 2 bytes and a block’s scales for large matrices, and 8 bytes for the rest', () => {
    const path = 'models/graft-tiny/config.json';
    const config = parseModelConfig(JSON.parse(readFileSync(path, 'utf8')), path);
    const run = {
      config,
      tuning: resolveTuning({ type: 'full' }),
      precision: 'f32',
      storedInBf16: true,
      gradientCheckpointing: false,
      pass: { tokens: 64, supervisedTokens: 64 },
    } as const;
    const [plain, coded] = [estimateMemory(run), estimateMemory({ ...run, optim: 'adamw_8bit' })];
    const isLarge = ([name, shape]: [string, number[]]) => !name.includes('embed') && shape.reduce((a, b) => a * b) >= 4096;
    const large = [...weightShapes(config)].filter(isLarge).map(([, shape]) => shape.reduce((a, b) => a * b));
    expect(large.length).toBeGreaterThan(0);
    const saved = large.reduce((sum, elements) => sum + 2 * (4 * elements - elements - 4 * Math.ceil(elements / 256)), 0);
    expect(plain.optimizer_bytes - coded.optimizer_bytes).toBe(saved);
    // Gradients that pass: those of one block, twice, and those outside the blocks.
    const bytesOf = (holds: (name: string) => boolean) =>
      [...weightShapes(config)].filter(([name]) => holds(name)).reduce((sum, [, shape]) => sum + 4 * shape.reduce((a, b) => a * b), 0);
    const passing = 2 * bytesOf((name) => name.includes('.layers.0.')) + bytesOf((name) => !name.includes('.layers.'));
    expect(estimateMemory({ ...run, gradientsPass: true }).gradients_bytes).toBe(passing);
    const { optimizer_bytes, workspace_bytes, total_bytes, ...same } = plain;
    expect(coded).toMatchObject(same);
    expect(coded.workspace_bytes).toBeLessThan(workspace_bytes); // our own kernel needs none for the update
  });

  it('is the sum of its parts, and grows with the tokens of a pass in activations and workspace alone', () => {
    const [short, long] = [256, 512].map((tokens) => estimated('qwen2', { type: 'lora', precision: 'f32', tokens })) as [
      ReturnType<typeof estimated>,
      ReturnType<typeof estimated>,
    ];
    for (const { total_bytes: total, ...parts } of [short, long]) expect(total).toBe(Object.values(parts).reduce((sum, part) => sum + part, 0));
    expect(long.activations_bytes).toBe(2 * short.activations_bytes);
    expect(long.workspace_bytes).toBeGreaterThan(short.workspace_bytes);
    const { activations_bytes, workspace_bytes, total_bytes, ...held } = long;
    expect(short).toMatchObject(held);
  });
});
