import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import type { ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import { type EagerModel, openEagerForInference, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { loadAdapter, readAdapterConfig, saveAdapter } from '../../../../workers/engine/io/adapter.ts';
import { saveModel } from '../../../../workers/engine/io/model-directory.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { refusal } from '../../../refusal.ts';

const tied = referencePath('cases', 'llama-gqa-tied', 'model');
const untied = referencePath('cases', 'llama-untied-v4', 'model');
const peftAdapter = referencePath('cases', 'llama-gqa-tied', 'adapters', 'attention-rslora', 'adapter');
const ids = referenceBatch('llama-gqa-tied').inputIds.slice(0, 20);

let dir = '';
let models: EagerModel[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-directories-'));
});
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
  rmSync(dir, { recursive: true });
});
const opened = (model: EagerModel): EagerModel => {
  models.push(model);
  return model;
};
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8'));
describe('saveAdapter', () => {
  const lora: ResolvedLora = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: 'all-linear', use_rslora: false };

  it('writes a PEFT adapter with the same tensors and an equal configuration', () => {
    const model = opened(openEagerForInference({ modelDir: tied, adapterDir: peftAdapter }));
    expect(saveAdapter(model, dir, { tuning: readAdapterConfig(peftAdapter), baseModelName: 'llama-gqa-tied' })).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    expect(readSafetensors(join(dir, 'adapter_model.safetensors'))).toEqual(readSafetensors(join(peftAdapter, 'adapter_model.safetensors')));
    expect(readAdapterConfig(dir)).toEqual(readAdapterConfig(peftAdapter));
    const theirs = json(join(peftAdapter, 'adapter_config.json'));
    const ours = json(join(dir, 'adapter_config.json'));
    for (const [field, value] of Object.entries(ours)) expect(value, field).toEqual(theirs[field]);
  });

  it('writes a fresh adapter that, loaded again, gives the base model’s logits: B is zero', () => {
    const model = opened(openEagerForTraining({ modelDir: tied, tuning: lora, seed: 7 }));
    saveAdapter(model, dir, { tuning: lora, baseModelName: 'base' });
    expect(json(join(dir, 'adapter_config.json'))['target_modules']).toEqual([
      'down_proj',
      'gate_proj',
      'k_proj',
      'o_proj',
      'q_proj',
      'up_proj',
      'v_proj',
    ]);
    const again = opened(openEagerForInference({ modelDir: tied, adapterDir: dir }));
    const base = opened(openEagerForInference({ modelDir: tied }));
    expect(largestDifference(again.allLogits(ids), base.allLogits(ids))).toBe(0);
    for (const [name, variable] of model.trainable) expect(again.trainable.get(name)!.dataSync()).toEqual(variable.dataSync());
  });
});

describe('an adapter', () => {
  it.each([
    ['lora_bias', true],
    ['bias', 'some'],
    ['rank_pattern', { q_proj: 'many' }],
    ['trainable_token_indices', [3]],
    ['peft_type', 'ADALORA'],
    ['init_lora_weights', 'pissa'],
    ['something_new', true],
  ])('whose %s is %j is refused by name', (field, value) => {
    cpSync(peftAdapter, dir, { recursive: true });
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...json(join(peftAdapter, 'adapter_config.json')), [field]: value }));
    const error = refusal(() => openEagerForInference({ modelDir: tied, adapterDir: dir }));
    expect(error.code).toBe('unsupported_adapter');
    expect(error.message).toContain(field);
  });

  it('of another base model is refused, with its tensors named', () => {
    const error = refusal(() => openEagerForInference({ modelDir: untied, adapterDir: peftAdapter }));
    expect(error.code).toBe('corrupt_model_file');
    expect(error.message).toContain('layers.2.self_attn.q_proj.lora_A.weight is missing');
    expect(error.message).toContain('where the model needs');
  });

  it('that does not exist is refused', () => {
    expect(refusal(() => openEagerForInference({ modelDir: tied, adapterDir: join(dir, 'none') })).message).toContain('adapter_config.json');
  });
});

describe('saveModel', () => {
  it.each([
    ['tied', tied],
    ['untied, sharded', untied],
  ])('writes a %s model that, opened again, has the same logits', (_, modelDir) => {
    const model = opened(openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 1 }));
    const files = saveModel(model, dir, { sourceDir: modelDir, dtype: 'F32' });
    expect(files).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja']));
    expect(files).not.toContain('model.safetensors.index.json');
    const again = opened(openEagerForInference({ modelDir: dir }));
    expect(largestDifference(again.allLogits(ids), model.allLogits(ids))).toBe(0);
    expect(json(join(dir, 'config.json'))[modelDir === untied ? 'torch_dtype' : 'dtype']).toBe('float32');
  });
});

describe('a model directory', () => {
  it('with missing, misshapen and unknown tensors is refused, with all of them named', () => {
    cpSync(tied, dir, { recursive: true });
    const tensors = readSafetensors(join(tied, 'model.safetensors')) as Map<string, { shape: number[]; data: Float32Array }>;
    tensors.delete('model.norm.weight');
    tensors.set('model.layers.0.mlp.up_proj.weight', { shape: [2, 2], data: new Float32Array(4) });
    tensors.set('model.layers.0.self_attn.q_norm.weight', { shape: [2], data: new Float32Array(2) });
    writeSafetensors(join(dir, 'model.safetensors'), tensors);
    const error = refusal(() => openEagerForInference({ modelDir: dir }));
    expect(error.code).toBe('corrupt_model_file');
    for (const text of ['model.norm.weight is missing', 'mlp.up_proj.weight is [2,2]', 'q_norm.weight does not belong'])
      expect(error.message).toContain(text);
  });

  it('that lacks a shard or its config.json is refused, with the file named', () => {
    cpSync(untied, dir, { recursive: true });
    rmSync(join(dir, 'model-00002-of-00002.safetensors'));
    expect(refusal(() => openEagerForInference({ modelDir: dir })).message).toContain('model-00002-of-00002.safetensors');
    rmSync(join(dir, 'config.json'));
    expect(refusal(() => openEagerForInference({ modelDir: dir })).message).toContain('config.json');
  });

  it('whose index points outside it is refused', () => {
    cpSync(untied, dir, { recursive: true });
    writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { x: '../../secret' } }));
    expect(refusal(() => openEagerForInference({ modelDir: dir })).message).toContain('../../secret');
  });
});

describe('loadAdapter', () => {
  it('refuses a truncated file and leaves the model unchanged', () => {
    const model = opened(openEagerForInference({ modelDir: tied, adapterDir: peftAdapter }));
    const before = model.allLogits(ids);
    cpSync(peftAdapter, dir, { recursive: true });
    const file = join(dir, 'adapter_model.safetensors');
    writeFileSync(file, readFileSync(file).subarray(0, -10));
    expect(refusal(() => loadAdapter(model, dir)).code).toBe('corrupt_model_file');
    expect(model.allLogits(ids)).toEqual(before);
  });
});
