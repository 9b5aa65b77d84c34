import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { withModel } from '../../../../reference/measures.ts';
import { weightShapes } from '../../../../src/formats/module-shapes.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import { openEagerForInference, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { exportHuggingFace } from '../../../../workers/engine/export/hugging-face.ts';
import { saveModel } from '../../../../workers/engine/io/model-directory.ts';
import { readSafetensors, type StoredTensor, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { openWeights, readModelConfig } from '../../../../workers/engine/model/weights.ts';

const WEIGHTS = 'model.safetensors';
const MODELS = ['qwen3-moe', 'mixtral'];
const silent = { progress: async () => {} };

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'graft-experts-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const modelOf = (name: string): string => referencePath('families', name, 'model');

/** A copy of a fixture's model with other tensors. */
function changed(name: string, as: string, change: (tensors: Map<string, StoredTensor>) => void): string {
  const dir = join(scratch, as);
  cpSync(modelOf(name), dir, { recursive: true });
  const tensors = readSafetensors(join(dir, WEIGHTS));
  change(tensors);
  writeSafetensors(join(dir, WEIGHTS), new Map([...tensors].map(([key, { shape, data }]) => [key, { shape, data: data as Float32Array }])));
  return dir;
}

function logits(modelDir: string, name: string, adapterDir?: string): Float32Array {
  const { inputIds } = referenceBatch(name, 'families');
  return withModel(
    () => openEagerForInference({ modelDir, ...(adapterDir !== undefined && { adapterDir }) }),
    (model) => model.allLogits(inputIds.slice(0, 12)),
  );
}

describe.each(MODELS)('experts of %s', (name) => {
  it('in one tensor each for gates and ups, and downs, as transformers has them in memory › are the same model', () => {
    const { names } = readModelConfig(modelOf(name));
    const { experts } = names;
    const together = changed(name, `${name}-stacked`, (tensors) => {
      const weights = openWeights(modelOf(name), readModelConfig(modelOf(name)));
      for (const block of [`${names.blocks}.0`, `${names.blocks}.2`].filter((block) => tensors.has(`${block}.input_layernorm.weight`)))
        for (const weight of [`${block}.${experts!.gateAndUp}`, `${block}.${experts!.down}`]) {
          const parts = weights.delivered(weight);
          const size = parts.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
          const data = new Float32Array(size);
          weights.readInto(weight, data);
          for (const part of parts) tensors.delete(part.name);
          const { count } = weights.config.experts!;
          const [out, input] = [size / count / parts[0]!.shape[1]!, parts[0]!.shape[1]!];
          tensors.set(weight, { dtype: 'F32', shape: [count, out, input], data });
        }
      weights.close();
    });
    expect(logits(together, name)).toEqual(logits(modelOf(name), name));
  });

  it('of which one lacks a matrix › are refused, naming it', () => {
    let missing = '';
    const dir = changed(name, `${name}-missing`, (tensors) => {
      missing = [...tensors.keys()].find((key) => /experts\.3\./.test(key))!;
      tensors.delete(missing);
    });
    expect(() => openWeights(dir, readModelConfig(dir))).toThrow(`tensor ${missing} is missing`);
  });

  it('of another shape › are refused, naming it', () => {
    let wrong = '';
    const dir = changed(name, `${name}-misshapen`, (tensors) => {
      wrong = [...tensors.keys()].find((key) => /experts\.1\./.test(key))!;
      tensors.set(wrong, { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) });
    });
    expect(() => openWeights(dir, readModelConfig(dir))).toThrow(`tensor ${wrong} is [2,3] where the configuration says`);
  });
});

describe.each([...MODELS, 'granite4-experts'])('experts of %s', (name) => {
  it('that are delivered whole › have the names and values of the base', () => {
    const dir = join(scratch, `${name}-delivered`);
    withModel(
      () => openEagerForTraining({ modelDir: modelOf(name), tuning: { type: 'full' }, seed: 1 }),
      (model) => saveModel(model, dir, { sourceDir: modelOf(name), dtype: 'F32' }),
    );
    expect(readSafetensors(join(dir, WEIGHTS))).toEqual(readSafetensors(join(modelOf(name), WEIGHTS)));
  });

  it('with an adapter merged into them › give the logits of PEFT', async () => {
    const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');
    const dir = join(scratch, `${name}-merged`);
    await exportHuggingFace({ modelDir: modelOf(name), adapterDir }, dir, { dtype: 'F32', ...silent });
    expect([...readSafetensors(join(dir, WEIGHTS)).keys()].sort()).toEqual([...readSafetensors(join(modelOf(name), WEIGHTS)).keys()].sort());
    expect(largestDifference(logits(dir, name), logits(modelOf(name), name, adapterDir))).toBeLessThan(1e-5);
  });
});

it('an adapter of experts and router merged into matrices of [in, out], packed or not › gives the logits that both have', async () => {
  const adapterDir = referencePath('lora', 'experts-and-router', 'adapter');
  const packed = referencePath('mxfp4', 'gpt-oss', 'model');
  for (const modelDir of [modelOf('gpt-oss'), packed]) {
    const dir = join(scratch, `gpt-oss-merged-${modelDir === packed}`);
    await exportHuggingFace({ modelDir, adapterDir }, dir, { dtype: 'F32', ...silent });
    expect(largestDifference(logits(dir, 'gpt-oss'), logits(modelDir, 'gpt-oss', adapterDir))).toBeLessThan(1e-5);
    expect([...readSafetensors(join(dir, WEIGHTS)).keys()].sort()).toEqual([...weightShapes(readModelConfig(modelDir)).keys()].sort());
  }
});

it('an adapter of experts, router and layers beside them, merged into matrices that files have under other names › gives the logits that both have', async () => {
  const [adapterDir, modelDir] = [referencePath('lora', 'experts-beside-mlp', 'adapter'), modelOf('granite4-experts')];
  const dir = join(scratch, 'granite4-merged');
  await exportHuggingFace({ modelDir, adapterDir }, dir, { dtype: 'F32', ...silent });
  expect(largestDifference(logits(dir, 'granite4-experts'), logits(modelDir, 'granite4-experts', adapterDir))).toBeLessThan(1e-5);
  expect([...readSafetensors(join(dir, WEIGHTS)).keys()].sort()).toEqual([...readSafetensors(join(modelDir, WEIGHTS)).keys()].sort());
});

it('an adapter of experts alone › trains them and nothing else', () => {
  const tuning = loraFormat.resolve({ type: 'lora', r: 2, target_modules: ['q_proj'], target_parameters: ['mlp.experts.down_proj'] });
  withModel(
    () => openEagerForTraining({ modelDir: modelOf('qwen3-moe'), tuning, seed: 1 }),
    (model) =>
      expect([...model.trainable.keys()].filter((key) => !key.includes('q_proj')).every((key) => key.includes('mlp.experts.lora_'))).toBe(true),
  );
});
