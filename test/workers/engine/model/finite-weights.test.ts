import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { openForInference, openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { refusal } from '../../../refusal.ts';

type Floats = Map<string, { shape: number[]; data: Float32Array }>;
const LORA = { type: 'lora', r: 2, lora_alpha: 4, lora_dropout: 0, target_modules: 'all-linear', use_rslora: false } as const;
const UP = 'model.layers.1.mlp.up_proj.weight';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-finite-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** @returns a copy of a fixture's model, with one of its files changed */
function changed(name: string, file: string, change: (weights: Floats) => void, dtype: 'F32' | 'F16' | 'BF16' = 'F32'): string {
  const copy = mkdtempSync(join(dir, 'model-'));
  cpSync(referencePath('cases', name, 'model'), copy, { recursive: true });
  const weights = readSafetensors(join(copy, file)) as Floats;
  change(weights);
  writeSafetensors(join(copy, file), weights, { dtype });
  return copy;
}

describe('a base model with a weight that is not finite', () => {
  describe.each(['F32', 'F16', 'BF16'] as const)('stored in %s', (dtype) => {
    it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
      'of %d › is refused with the tensor, the file and the place',
      (value) => {
        const set = (weights: Floats) => {
          const { shape, data } = weights.get(UP)!;
          data[3 * shape[1]! + 5] = value;
        };
        const modelDir = changed('llama-gqa-tied', 'model.safetensors', set, dtype);
        const opens = [
          () => openForTraining({ modelDir, tuning: LORA, seed: 0, weightDecay: 0 }),
          () => openForTraining({ modelDir, tuning: LORA, seed: 0, weightDecay: 0, precision: 'bf16' }), // the frozen base is held in bf16
          () => openForTraining({ modelDir, tuning: { type: 'full' }, seed: 0, weightDecay: 0 }),
          () => openForInference({ modelDir }),
          () => openEagerForInference({ modelDir }),
        ];
        for (const open of opens) {
          const error = refusal(open);
          expect(error.code).toBe('corrupt_model_file');
          expect(error.message).toContain(`tensor ${UP} in model.safetensors holds ${value} at [3, 5]`);
        }
      },
    );
  });

  it('in a norm and in a shard › names both tensors and the shard', () => {
    const shard = 'model-00002-of-00002.safetensors';
    const names: string[] = [];
    const modelDir = changed('llama-untied-v4', shard, (weights) => {
      for (const [name, { data }] of weights) {
        if (!name.includes('norm') && !name.endsWith('q_proj.bias')) continue;
        data[data.length - 1] = Number.NaN;
        names.push(name);
      }
    });
    const { message } = refusal(() => openForTraining({ modelDir, tuning: LORA, seed: 0, weightDecay: 0 }));
    expect(names.length).toBeGreaterThan(1);
    for (const name of names.slice(0, 5)) expect(message).toContain(`tensor ${name} in ${shard} holds NaN`);
  });

  it('in a tensor that is never read › is not refused', () => {
    const modelDir = changed('llama-gqa-tied', 'model.safetensors', (weights) => {
      weights.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [2], data: Float32Array.of(Number.NaN, 1) });
    });
    const model = openForInference({ modelDir });
    expect(Number.isFinite(model.nextTokenLogits(Int32Array.of(1, 2, 3))[0])).toBe(true);
    model.dispose();
  });
});
