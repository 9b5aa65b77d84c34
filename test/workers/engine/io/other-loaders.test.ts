import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { withModel } from '../../../../reference/measures.ts';
import { canonicalNames } from '../../../../src/formats/module-shapes.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import type { ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import { openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { saveAdapter } from '../../../../workers/engine/io/adapter.ts';
import { openSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { readModelConfig } from '../../../../workers/engine/model/weights.ts';

/** The largest `--max-lora-rank` that vLLM accepts, which limits an adapter's rank. */
const VLLM_LARGEST_RANK = 512;

const RANK = 3;
const TENSOR = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-loaders-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** @returns the header's shapes by name */
function shapesOf(path: string): Map<string, number[]> {
  const file = openSafetensors(path);
  file.close();
  return new Map([...file.header.tensors].map(([name, { shape }]) => [name, shape]));
}

/** Neither reads adapters of experts as PEFT stores them. */
const tuningOf = (modelDir: string): ResolvedLora =>
  loraFormat.resolve({
    type: 'lora',
    r: RANK,
    ...(readModelConfig(modelDir).experts !== undefined && { target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] }),
  });

describe.each(readdirSync(referencePath('families')))('an adapter for %s', (name) => {
  const modelDir = referencePath('families', name, 'model');
  let config: Record<string, unknown>;
  let tensors: Map<string, number[]>;
  beforeAll(() => {
    const out = join(dir, name);
    const tuning = tuningOf(modelDir);
    withModel(
      () => openEagerForTraining({ modelDir, tuning, seed: 1 }),
      (model) => saveAdapter(model, out, { tuning, baseModelName: 'org/base' }),
    );
    config = JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    tensors = shapesOf(join(out, 'adapter_model.safetensors'));
  });

  it('meets the requirements of vLLM: its fields, no saved modules, biases or DoRA, and tensors on the layers it names as targets', () => {
    expect(config).toMatchObject({ r: RANK, lora_alpha: 2 * RANK, bias: 'none', modules_to_save: null, use_dora: false });
    expect(config['r']).toBeLessThanOrEqual(VLLM_LARGEST_RANK);
    const targets = (config['target_modules'] as string[]).map((target) => target.split('.').at(-1));
    for (const [tensor, shape] of tensors) {
      const [, module, matrix] = TENSOR.exec(tensor) ?? [];
      expect(targets, tensor).toContain(module?.split('.').at(-1));
      expect(shape[matrix === 'A' ? 0 : 1], tensor).toBe(RANK);
    }
  });

  it("meets the requirements of llama.cpp's converter: pairs of A and B on two-dimensional weights of the base, nothing on embedding or head", () => {
    expect(config).toMatchObject({
      peft_type: 'LORA',
      lora_alpha: expect.any(Number),
      base_model_name_or_path: 'org/base',
      alora_invocation_tokens: null,
    });
    const stored = shapesOf(join(modelDir, 'model.safetensors'));
    const base = new Map([...canonicalNames(stored.keys(), readModelConfig(modelDir))].map(([module, inFile]) => [module, stored.get(inFile)!]));
    const matrices = new Map<string, Set<string>>();
    for (const tensor of tensors.keys()) {
      const [, module, matrix] = TENSOR.exec(tensor) ?? [];
      expect(base.get(`${module}.weight`), tensor).toHaveLength(2);
      expect(module).not.toMatch(/embed|wte|wpe|lm_head/);
      matrices.set(module!, (matrices.get(module!) ?? new Set()).add(matrix!));
    }
    for (const [module, found] of matrices) expect([...found].sort(), module).toEqual(['A', 'B']);
  });

  it('has only its format as metadata, and its tensors in order', () => {
    const file = openSafetensors(join(dir, name, 'adapter_model.safetensors'));
    file.close();
    const names = [...file.header.tensors.keys()];
    expect(names).toEqual([...names].sort());
    expect(file.header.metadata).toEqual({ format: 'pt' });
  });
});
