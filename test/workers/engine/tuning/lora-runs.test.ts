import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import type { LoraTuning } from '../../../../src/formats/tuning/lora-fields.ts';
import { exportHuggingFace } from '../../../../workers/engine/export/hugging-face.ts';
import { proveMerge } from '../../../../workers/engine/export/prove-merge.ts';
import { prepare } from '../../../../workers/engine/prepare.ts';
import { prove } from '../../../../workers/engine/proof/prove.ts';
import { train, trainPrepared } from '../../../../workers/engine/train.ts';

const modelDir = referencePath('cases', 'llama-untied-v4', 'model');
const trainingFile = join(import.meta.dirname, '../../../../reference/peft/train.jsonl');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-lora-runs-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const TUNINGS: [string, Partial<LoraTuning>][] = [
  ['pissa', { init_lora_weights: 'pissa' }],
  ['dora', { use_dora: true, lora_dropout: 0.1 }],
  ['saved modules and LoRA+', { modules_to_save: ['lm_head', 'norm'], loraplus_lr_ratio: 4 }],
  ['head and embedding', { target_modules: ['embed_tokens', 'lm_head'] }],
];

describe.each(TUNINGS)('a run with %s', (name, fields) => {
  it('is proven, merges, and resumes from its first checkpoint to the same adapter, bit for bit', async () => {
    const at = (...path: string[]) => join(dir, name, ...path);
    const delivered = at('delivered');
    const options = {
      ...{ modelDir, trainingFile, seed: 1, tuning: { type: 'lora', r: 4, ...fields } as LoraTuning },
      hyperparameters: { n_epochs: 2, batch_size: 3, learning_rate: 5e-3, precision: 'f32', save_steps: 1 } as const,
    };
    const first = { ...options, outputDir: delivered, checkpointsDir: at('checkpoints') };
    const run = await prepare(first);
    const { last } = await trainPrepared(run, first);
    const findings = await prove(run, { modelDir, deliveredDir: delivered, last });
    expect(findings.problems).toEqual([]);

    await train({ ...options, outputDir: at('again'), resumeFrom: at('checkpoints', '1') });
    const bytes = (of: string): Buffer => readFileSync(at(of, 'adapter_model.safetensors'));
    expect(bytes('again').equals(bytes('delivered'))).toBe(true);

    const files = { modelDir, adapterDir: delivered };
    await exportHuggingFace(files, at('merged'), { dtype: 'F32', progress: async () => {} });
    expect((await proveMerge(files, at('merged'), 'F32')).difference).toBeLessThan(1e-5);
  });
});
