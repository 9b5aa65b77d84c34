import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { withModel } from '../../../../reference/measures.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import type { ResolvedTuning } from '../../../../src/formats/tuning/tuning.ts';
import { openEagerForInference, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { exportModel } from '../../../../workers/engine/export/export.ts';
import { exportHuggingFace } from '../../../../workers/engine/export/hugging-face.ts';
import { readAdapterConfig, saveAdapter } from '../../../../workers/engine/io/adapter.ts';
import { saveModel } from '../../../../workers/engine/io/model-directory.ts';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { readModelConfig } from '../../../../workers/engine/model/weights.ts';
import { modelProblems } from '../../../../workers/engine/proof/model-layout.ts';
import { methodOf } from '../../../../workers/engine/tuning/methods.ts';

const MODELS = ['gemma3-vision', 'qwen3.5-vision', 'mistral3-vision', 'qwen3-vl', 'gemma4-vision'];
const WEIGHTS = 'model.safetensors';
const PREPROCESSOR = 'preprocessor_config.json';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'graft-multimodal-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

/** Type, shape and bytes of the tensors that are not the language model's. */
function otherTowers(dir: string): Map<string, unknown> {
  const file = openSafetensors(join(dir, WEIGHTS));
  const found = [...file.header.tensors].filter(([name]) => !/language_model|lm_head/.test(name));
  const towers = found.map(([name, { dtype, shape, byteLength }]): [string, unknown] => {
    const bytes = Buffer.alloc(byteLength);
    file.readBytesInto(name, bytes, 0);
    return [name, { dtype, shape, bytes: bytes.toString('base64') }];
  });
  file.close();
  return new Map(towers.sort());
}

const namesIn = (dir: string): string[] => [...readSafetensors(join(dir, WEIGHTS)).keys()].sort();

/** A copy of a fixture's model, with its tensors renamed and further ones. */
function copyOf(name: string, as: string, rename: (tensor: string) => string, more: readonly string[] = []): string {
  const dir = join(scratch, as);
  cpSync(referencePath('families', name, 'model'), dir, { recursive: true });
  const tensors = new Map(
    [...readSafetensors(join(dir, WEIGHTS))].map(([tensor, { shape, data }]) => [rename(tensor), { shape, data: data as Float32Array }]),
  );
  for (const tensor of more) tensors.set(tensor, { shape: [2], data: Float32Array.of(1, 2) });
  writeSafetensors(join(dir, WEIGHTS), tensors);
  return dir;
}

function logitsOf(modelDir: string, name: string, adapterDir?: string): Float32Array {
  return withModel(
    () => openEagerForInference({ modelDir, ...(adapterDir !== undefined && { adapterDir }) }),
    (model) => model.allLogits(referenceBatch(name, 'families').inputIds.slice(0, 24)),
  );
}

describe.each(MODELS)('a model of %s', (name) => {
  const modelDir = referencePath('families', name, 'model');
  const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');

  it('fully fine-tuned › is delivered under the names of its base, with the other towers bit for bit', () => {
    const out = join(scratch, name, 'full');
    withModel(
      () => openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 1 }),
      (model) => saveModel(model, out, { sourceDir: modelDir, dtype: 'BF16' }),
    );
    expect(namesIn(out)).toEqual(namesIn(modelDir));
    expect(otherTowers(out).size).toBeGreaterThan(5);
    expect(otherTowers(out)).toEqual(otherTowers(modelDir));
    expect(json(join(out, 'config.json'))).toEqual({ ...json(join(modelDir, 'config.json')), dtype: 'bfloat16' });
    expect(modelProblems(out, modelDir)).toEqual([]);
  });

  it('with an adapter merged in › computes what both do, and has the names and the other towers of its base', async () => {
    const out = join(scratch, name, 'merged');
    await exportHuggingFace({ modelDir, adapterDir }, out, { dtype: 'F32', progress: async () => {} });
    expect(namesIn(out)).toEqual(namesIn(modelDir));
    expect(otherTowers(out)).toEqual(otherTowers(modelDir));
    expect(largestDifference(logitsOf(out, name), logitsOf(modelDir, name, adapterDir))).toBeLessThan(1e-5);
    expect(largestDifference(logitsOf(out, name), logitsOf(modelDir, name))).toBeGreaterThan(0.1);
  });

  it('with LoRA on all-linear › names each adapted layer whole, so that PEFT wraps none of the other towers', () => {
    const out = join(scratch, name, 'adapter');
    const tuning = loraFormat.resolve({ type: 'lora', r: 2 });
    withModel(
      () => openEagerForTraining({ modelDir, tuning, seed: 1 }),
      (model) => saveAdapter(model, out, { tuning, baseModelName: name }),
    );
    expect(readAdapterConfig(out).target_modules).toEqual(readReference('families', name, 'adapters', 'all-linear', 'targets.json'));
  });
});

describe('adapters of a multimodal model', () => {
  const name = 'mistral3-vision';
  const modelDir = referencePath('families', name, 'model');
  const inBlocks = (...modules: string[]) => [0, 1].flatMap((block) => modules.map((module) => `model.language_model.layers.${block}.${module}`));

  it.each<[string, ResolvedTuning, Record<string, string[]>]>([
    [
      'LoRA with saved modules',
      loraFormat.resolve({ type: 'lora', target_modules: ['q_proj'], modules_to_save: ['lm_head', 'input_layernorm'] }),
      { target_modules: inBlocks('self_attn.q_proj'), modules_to_save: ['lm_head', ...inBlocks('input_layernorm')] },
    ],
    [
      '(IA)³',
      { type: 'ia3', target_modules: ['k_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
      { target_modules: inBlocks('mlp.down_proj', 'self_attn.k_proj'), feedforward_modules: inBlocks('mlp.down_proj') },
    ],
  ])('%s › name modules whole, and load again', (_, tuning, expected) => {
    const out = mkdtempSync(join(scratch, 'adapter-'));
    const method = methodOf(tuning);
    withModel(
      () => openEagerForTraining({ modelDir, tuning, seed: 1 }),
      (model) => method.save(model, out, { tuning, base: { modelDir, name, revision: null, ggufFile: null } }),
    );
    expect(json(join(out, 'adapter_config.json'))).toMatchObject(expected);
    expect(method.layoutProblems(out, { tuning, modelDir })).toEqual([]);
    expect(largestDifference(logitsOf(modelDir, name, out), logitsOf(modelDir, name))).toBe(0);
  });

  it('are not exported as GGUF or for MLX, which is refused by the type of the model', async () => {
    const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');
    for (const format of ['gguf_adapter', 'mlx_adapter'] as const)
      await expect(
        exportModel({ format, dtype: 'f32', name, outputDir: join(scratch, format), modelDir, adapterDir }, async () => {}),
      ).rejects.toMatchObject({ code: 'unsupported_export', message: expect.stringContaining('"mistral3"') });
  });
});

describe('the weights of a multimodal model', () => {
  it.each([
    [
      'gemma3-vision',
      'model.language_model. and model.vision_tower., as transformers 4.52 saved them',
      (stored: string) => `model.${stored.replace('language_model.model.', 'language_model.')}`,
    ],
    [
      'mistral3-vision',
      'lm_head beside them',
      (stored: string) => stored.replace('language_model.lm_head', 'lm_head').replace('language_model.model.', 'model.language_model.'),
    ],
  ])('of %s under the names %s › give the same logits', (name, _, rename) => {
    const dir = copyOf(name, `${name}-renamed`, rename);
    expect(namesIn(dir)).not.toEqual(namesIn(referencePath('families', name, 'model')));
    expect(largestDifference(logitsOf(dir, name), logitsOf(referencePath('families', name, 'model'), name))).toBe(0);
  });

  it('of Qwen 3.5 with those that predict further tokens › are read without these, and delivered with them', () => {
    const dir = copyOf('qwen3.5-vision', 'mtp', (stored) => stored, ['mtp.norm.weight']);
    const out = join(scratch, 'mtp-full');
    withModel(
      () => openEagerForTraining({ modelDir: dir, tuning: { type: 'full' }, seed: 1 }),
      (model) => saveModel(model, out, { sourceDir: dir, dtype: 'F32' }),
    );
    expect(otherTowers(out).get('mtp.norm.weight')).toEqual(otherTowers(dir).get('mtp.norm.weight'));
  });

  it('with a tower that the model does not have › are refused by its name', () => {
    const dir = copyOf('gemma3-vision', 'audio', (stored) => stored, ['audio_tower.norm.weight']);
    expect(() => openEagerForInference({ modelDir: dir })).toThrow(/audio_tower\.norm\.weight does not belong/);
  });

  it('delivered without one of the other towers’ › are found to be incomplete', () => {
    const modelDir = referencePath('families', 'gemma3-vision', 'model');
    const dir = join(scratch, 'incomplete');
    cpSync(modelDir, dir, { recursive: true });
    const lost = 'vision_tower.post_layernorm.bias';
    const kept = [...readSafetensors(join(dir, WEIGHTS))].filter(([name]) => name !== lost);
    writeSafetensors(join(dir, WEIGHTS), new Map(kept.map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }])));
    expect(modelProblems(dir, modelDir)).toEqual([`tensor ${lost} of the base model is missing`]);
  });

  it('are delivered with what prepares images', () => {
    const modelDir = copyOf('gemma3-vision', 'prepared', (stored) => stored);
    writeFileSync(join(modelDir, PREPROCESSOR), '{"do_resize": true}');
    const out = join(scratch, 'prepared-full');
    withModel(
      () => openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 1 }),
      (model) => saveModel(model, out, { sourceDir: modelDir, dtype: 'F32' }),
    );
    expect(readdirSync(out)).toContain(PREPROCESSOR);
  });

  it('have a configuration whose modules are those of the whole model', () => {
    const { names, modelType } = readModelConfig(referencePath('families', 'gemma3-vision', 'model'));
    expect({ modelType, ...names }).toMatchObject({ modelType: 'gemma3', embedding: 'model.language_model.embed_tokens', head: 'lm_head' });
  });
});
