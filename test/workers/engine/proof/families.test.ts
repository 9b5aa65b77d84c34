import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { withModel } from '../../../../reference/measures.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import { openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { readAdapterConfig, saveAdapter } from '../../../../workers/engine/io/adapter.ts';
import { saveModel } from '../../../../workers/engine/io/model-directory.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { adapterProblems } from '../../../../workers/engine/proof/adapter-layout.ts';
import { modelProblems } from '../../../../workers/engine/proof/model-layout.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-layouts-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tuning = loraFormat.resolve({ type: 'lora', r: 3 });

describe.each(readdirSync(referencePath('families')))('what is delivered for %s', (name) => {
  const modelDir = referencePath('families', name, 'model');

  it('with LoRA › has the layout that PEFT looks for', () => {
    const out = join(dir, name, 'adapter');
    withModel(
      () => openEagerForTraining({ modelDir, tuning, seed: 1 }),
      (model) => saveAdapter(model, out, { tuning, baseModelName: name }),
    );
    expect(adapterProblems(out, modelDir, readAdapterConfig(out))).toEqual([]);
  });

  it("fully fine-tuned › has the base model's layout", () => {
    const out = join(dir, name, 'model');
    withModel(
      () => openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 1 }),
      (model) => saveModel(model, out, { sourceDir: modelDir, dtype: 'F32' }),
    );
    expect(modelProblems(out, modelDir)).toEqual([]);
  });
});

describe('what is delivered for a GPT-2 that was saved without its prefix', () => {
  it("has the base model's layout, or as an adapter the one that PEFT looks for", () => {
    const modelDir = join(dir, 'unprefixed');
    cpSync(referencePath('families', 'gpt2', 'model'), modelDir, { recursive: true });
    const file = join(modelDir, 'model.safetensors');
    const tensors = [...readSafetensors(file)].map(([name, { shape, data }]) => [name.replace('transformer.', ''), { shape, data }] as const);
    writeSafetensors(file, new Map(tensors as [string, { shape: number[]; data: Float32Array }][]));
    const [adapter, model] = [join(dir, 'unprefixed-adapter'), join(dir, 'unprefixed-model')];
    withModel(
      () => openEagerForTraining({ modelDir, tuning, seed: 1 }),
      (tuned) => saveAdapter(tuned, adapter, { tuning, baseModelName: 'gpt2' }),
    );
    expect(adapterProblems(adapter, modelDir, readAdapterConfig(adapter))).toEqual([]);
    withModel(
      () => openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 1 }),
      (tuned) => saveModel(tuned, model, { sourceDir: modelDir, dtype: 'F32' }),
    );
    expect(modelProblems(model, modelDir)).toEqual([]);
  });
});
