import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { largest, largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import type { ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import { resolveTuning, type Tuning } from '../../../../src/formats/tuning/tuning.ts';
import { openForInference, openForTraining, openTogether } from '../../../../workers/engine/compiled/open-model.ts';
import { decodeFloats, encodeFloats } from '../../../../workers/engine/io/float-formats.ts';
import { type CopiedTensor, readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const POSITION = { seed: 1, step: 1, microBatch: 0 };
/** Of sums in another order. */
const [LOSS_TOLERANCE, GRADIENT_TOLERANCE] = [1e-6, 1e-4];

const work = mkdtempSync(join(tmpdir(), 'graft-widened-'));
afterAll(() => rmSync(work, { recursive: true }));

/** A reference model whose weights are rounded to bf16. @returns its directories, with the same numbers in both types */
function roundedModel(kind: string, name: string): { bf16: string; f32: string } {
  const dirs = { bf16: join(work, `${name}-bf16`), f32: join(work, `${name}-f32`) };
  const given = readSafetensors(referencePath(kind, name, 'model', 'model.safetensors'));
  const rounded = [...given].map(([weight, { shape, data }]) => ({
    weight,
    shape,
    bytes: new Uint8Array(encodeFloats(data as Float32Array, 'BF16')),
  }));
  for (const dir of Object.values(dirs)) cpSync(referencePath(kind, name, 'model'), dir, { recursive: true });
  const copied = rounded.map(({ weight, shape, bytes }): [string, CopiedTensor] => [
    weight,
    { dtype: 'BF16', shape, byteLength: bytes.length, readInto: (into, first) => into.set(bytes.subarray(first, first + into.length)) },
  ]);
  writeSafetensors(join(dirs.bf16, 'model.safetensors'), new Map(), { copied: new Map(copied) });
  writeSafetensors(
    join(dirs.f32, 'model.safetensors'),
    new Map(rounded.map(({ weight, shape, bytes }) => [weight, { shape, data: decodeFloats(bytes, 'BF16') }])),
  );
  return dirs;
}

const MODELS = [
  ['llama with a tied head', 'cases', 'llama-gqa-tied'],
  ['gpt2, whose matrices are [in, out]', 'families', 'gpt2'],
  ['qwen3.5 with delta nets', 'families', 'qwen3.5'],
  ['granite4 with Mamba layers and experts', 'families', 'granite4-experts'],
  ['qwen3-moe, whose experts’ matrices are [out, in]', 'families', 'qwen3-moe'],
  ['gpt-oss, whose experts’ matrices are [in, out]', 'families', 'gpt-oss'],
] as const;
/** With values in B, so that A has a gradient. */
const TUNINGS: Tuning[] = [{ type: 'lora', r: 4, init_lora_weights: false }, { type: 'full' }];

describe.each(MODELS)('a %s that is stored in bf16, trained in f32', (_, kind, name) => {
  const dirs = roundedModel(kind, name);
  const batch = referenceBatch(name, kind);

  it.each(TUNINGS)('has the loss and the gradients of the same numbers stored in f32 ($type)', (request) => {
    const [held, plain] = [dirs.bf16, dirs.f32].map((modelDir) => {
      const model = openForTraining({ modelDir, tuning: resolveTuning(request), seed: 3, weightDecay: 0 });
      try {
        model.accumulate(batch, POSITION);
        return { evaluated: model.evaluate(batch), gradients: model.gradients() };
      } finally {
        model.dispose();
      }
    });
    expect(Math.abs(held!.evaluated.loss / plain!.evaluated.loss - 1)).toBeLessThan(LOSS_TOLERANCE);
    for (const [parameter, gradient] of plain!.gradients)
      expect(largestDifference(held!.gradients.get(parameter)!, gradient) / largest(gradient), parameter).toBeLessThan(GRADIENT_TOLERANCE);
  });
});

describe('a model that is stored in bf16, trained in f32', () => {
  const [, kind, name] = MODELS[0];
  const dirs = roundedModel(kind, name);
  const tuning = resolveTuning({ type: 'lora', r: 4 }) as ResolvedLora;
  const batch = referenceBatch(name, kind);

  it('never has a whole matrix in f32, and frees what it held', () => {
    const before = tf.memory().numTensors;
    const made = openForTraining({ modelDir: dirs.bf16, tuning, seed: 0, weightDecay: 0 });
    const operations = made.profile(batch, POSITION);
    made.dispose();
    expect(operations.filter(({ op }) => op === 'GraftHeldProduct').length).toBeGreaterThan(2 * made.config.layers);
    expect(operations.map(({ op }) => op)).not.toContain('BatchMatMulV2');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('has the loss alone that it has beside another run on the base, and for inference', () => {
    const members = [1, 2].map((seed) => ({ tuning, seed, weightDecay: 0 })) as [MemberSeed, MemberSeed];
    const [first, second] = members.map((member) => ({ modelDir: dirs.bf16, ...member })) as [MemberSeed & Dir, MemberSeed & Dir];
    const together = openTogether([first, second], { members, measures: false });
    const others = [openForTraining(first), openForInference({ modelDir: dirs.bf16 })];
    const losses = [...together, ...others].map((model) => model.evaluate({ ...batch, contents: [] }).loss);
    for (const model of [...together, ...others]) model.dispose();
    for (const loss of losses) expect(Math.abs(loss / losses[0]! - 1)).toBeLessThan(LOSS_TOLERANCE);
  });
});

interface MemberSeed {
  tuning: ResolvedLora;
  seed: number;
  weightDecay: number;
}
interface Dir {
  modelDir: string;
}
