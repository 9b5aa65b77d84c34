import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExpectedLoss, readReference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { gradientsDifference, logitsDifference, referenceDifferences, TOLERANCES, withModel } from '../../../../reference/measures.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import { loraLayers } from '../../../../src/formats/tuning/lora-layers.ts';
import { openEagerForInference, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { readModelConfig } from '../../../../workers/engine/model/weights.ts';

const families = readdirSync(referencePath('families'));
const fullyTuned = families.filter((name) => existsSync(referencePath('families', name, 'full-gradients.safetensors')));

async function withCopy(name: string, use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'graft-family-'));
  try {
    await cp(referencePath('families', name, 'model'), dir, { recursive: true });
    await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function expectLogits(modelDir: string, name: string): void {
  const difference = withModel(
    () => openEagerForInference({ modelDir }),
    (model) => logitsDifference(model, referenceBatch(name, 'families'), ['families', name]),
  );
  expect(difference).toBeLessThanOrEqual(TOLERANCES.logits);
}

describe.each(families)('%s', (name) => {
  const modelDir = referencePath('families', name, 'model');

  it('has the logits, the loss, the gradients and the ten steps of transformers and PEFT', () => {
    const differences = referenceDifferences(['families', name]);
    for (const [what, allowed] of Object.entries(TOLERANCES)) {
      expect(differences[what as keyof typeof TOLERANCES], what).toBeLessThanOrEqual(allowed);
    }
  });

  it('has the number of weights that transformers counts', () => {
    withModel(
      () => openEagerForInference({ modelDir }),
      (model) => expect(model.totalParameters).toBe(readReference<ExpectedLoss>('families', name, 'expected.json').parameters),
    );
  });

  it('has the linear layers that all-linear means to PEFT', () => {
    const modules = readReference<string[]>('families', name, 'adapters', 'all-linear', 'targets.json');
    const tuning = loraFormat.resolve({ type: 'lora' });
    expect([...loraLayers(readModelConfig(modelDir), tuning).keys()].sort()).toEqual(modules);
  });

  it('gives the same logits with a config.json written by transformers 4', () =>
    withCopy(name, async (dir) => {
      await cp(referencePath('families', name, 'v4.config.json'), join(dir, 'config.json'));
      expectLogits(dir, name);
    }));
});

describe('a checkpoint from the hub', () => {
  const renamed = async (dir: string, rename: (name: string) => string, more: [string, number[]][] = []) => {
    const file = join(dir, 'model.safetensors');
    const tensors = new Map([...readSafetensors(file)].map(([name, { shape, data }]) => [rename(name), { shape, data: data as Float32Array }]));
    for (const [name, shape] of more) tensors.set(name, { shape, data: new Float32Array(shape.reduce((product, length) => product * length, 1)) });
    writeSafetensors(file, tensors);
  };

  it("without GPT-2's prefix and with its masks gives the same logits", () =>
    withCopy('gpt2', async (dir) => {
      await renamed(dir, (name) => name.replace('transformer.', ''), [
        ['h.0.attn.bias', [1, 1, 32, 32]],
        ['h.1.attn.bias', [1, 1, 32, 32]],
      ]);
      expectLogits(dir, 'gpt2');
    }));

  it("with GPT-NeoX's head named lm_head and with its frequencies gives the same logits", () =>
    withCopy('gpt-neox', async (dir) => {
      await renamed(dir, (name) => name.replace('embed_out', 'lm_head'), [['gpt_neox.layers.0.attention.rotary_emb.inv_freq', [2]]]);
      expectLogits(dir, 'gpt-neox');
    }));

  it("with keys of Gemma 4's layers that share those of others gives the same logits", () =>
    withCopy('gemma4', async (dir) => {
      await renamed(dir, (name) => name, [
        ['model.layers.2.self_attn.k_proj.weight', [24, 32]],
        ['model.layers.2.self_attn.k_norm.weight', [12]],
      ]);
      expectLogits(dir, 'gemma4');
    }));

  it('with a weight that the family does not have is refused by name', () =>
    withCopy('mistral', async (dir) => {
      await renamed(dir, (name) => name, [['model.layers.0.self_attn.q_norm.weight', [8]]]);
      expect(() => openEagerForInference({ modelDir: dir })).toThrow(/model\.layers\.0\.self_attn\.q_norm\.weight/);
    }));
});

describe('fully fine-tuned', () => {
  it.each(fullyTuned)('%s has the gradients of PyTorch for every weight', (name) => {
    const difference = withModel(
      () => openEagerForTraining({ modelDir: referencePath('families', name, 'model'), tuning: { type: 'full' }, seed: 1 }),
      (model) => gradientsDifference(model, referenceBatch(name, 'families'), ['families', name, 'full-gradients.safetensors']),
    );
    expect(difference).toBeLessThanOrEqual(TOLERANCES.gradients);
  });
});
