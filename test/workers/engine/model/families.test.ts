import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linearLayers } from '../../../../workers/engine/model/module-shapes.ts';
import { readModelConfig } from '../../../../workers/engine/model/weights.ts';
import { openForInference, openTunedModel } from '../../../../workers/engine/tuning/tuned-model.ts';
import { type ExpectedLoss, readReference, referenceBatch, referencePath } from '../reference.ts';
import { gradientsDifference, logitsDifference, referenceDifferences, TOLERANCES, withModel } from '../reference-measures.ts';

const families = readdirSync(referencePath('families'));
const fullyTuned = families.filter((name) => existsSync(referencePath('families', name, 'full-gradients.safetensors')));

describe.each(families)('%s', (name) => {
  const modelDir = referencePath('families', name, 'model');
  const batch = referenceBatch(name, 'families');

  it('has the logits, the loss, the gradients and the ten steps of transformers and PEFT', () => {
    const differences = referenceDifferences(['families', name]);
    for (const [what, allowed] of Object.entries(TOLERANCES)) {
      expect(differences[what as keyof typeof TOLERANCES], what).toBeLessThanOrEqual(allowed);
    }
  });

  it('has as many weights as transformers counts', () => {
    withModel(
      () => openForInference({ modelDir }),
      (model) => expect(model.totalParameters).toBe(readReference<ExpectedLoss>('families', name, 'expected.json').parameters),
    );
  });

  it('has the linear layers that all-linear means to PEFT', () => {
    const modules = readReference<string[]>('families', name, 'adapters', 'all-linear', 'targets.json');
    expect([...linearLayers(readModelConfig(modelDir)).keys()].sort()).toEqual(modules);
  });

  it('gives the same from a configuration as transformers 4 wrote it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'graft-family-'));
    try {
      await cp(modelDir, dir, { recursive: true });
      await cp(referencePath('families', name, 'v4.config.json'), join(dir, 'config.json'));
      const difference = withModel(
        () => openForInference({ modelDir: dir }),
        (model) => logitsDifference(model, batch, ['families', name]),
      );
      expect(difference).toBeLessThanOrEqual(TOLERANCES.logits);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

describe('fully fine-tuned', () => {
  it.each(fullyTuned)('%s has the gradients of PyTorch for every weight', (name) => {
    const difference = withModel(
      () => openTunedModel({ modelDir: referencePath('families', name, 'model'), tuning: { type: 'full' }, seed: 1 }),
      (model) => gradientsDifference(model, referenceBatch(name, 'families'), ['families', name, 'full-gradients.safetensors']),
    );
    expect(difference).toBeLessThanOrEqual(TOLERANCES.gradients);
  });
});
