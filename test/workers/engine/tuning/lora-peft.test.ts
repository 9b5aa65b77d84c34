import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readReference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { adapterDifferences, logitsDifference, stepOf, TOLERANCES, withModel } from '../../../../reference/measures.ts';
import { loraFormat } from '../../../../src/formats/tuning/lora.ts';
import type { LoraTuning, ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import { openForInference, openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { readAdapterConfig, saveAdapter } from '../../../../workers/engine/io/adapter.ts';
import { readSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { lora } from '../../../../workers/engine/tuning/lora.ts';
import { expectWithinTolerances } from './expect-within-tolerances.ts';

const modelOf = (name: string): string => referencePath(...readReference<string[]>('lora', name, 'base.json'), 'model');
const INITIALISED = ['pissa', 'pissa-conv1d', 'olora'];
const ADAPTERS = readdirSync(referencePath('lora')).filter((name) => !INITIALISED.includes(name));

function inTemporaryDir<T>(use: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'graft-lora-'));
  try {
    return use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe.each(ADAPTERS)('the PEFT adapter %s', (name) => {
  it.each(['compiled', 'eager'] as const)('in the %s model › has the logits, loss, gradients and ten steps of PEFT', (kind) => {
    expectWithinTolerances(adapterDifferences(name, kind));
  });

  it('saved again › is the same tensors under the same names, and is proven by its layout', () => {
    const [modelDir, adapterDir] = [modelOf(name), referencePath('lora', name, 'adapter')];
    inTemporaryDir((dir) => {
      const tuning = readAdapterConfig(adapterDir);
      withModel(
        () => openForInference({ modelDir, adapterDir }),
        (model) => saveAdapter(model, dir, { tuning, baseModelName: 'base' }),
      );
      const [written, theirs] = [dir, adapterDir].map((path) => readSafetensors(join(path, 'adapter_model.safetensors'))) as [Tensors, Tensors];
      expect([...written.keys()]).toEqual([...theirs.keys()].sort());
      for (const [tensor, { data, shape }] of theirs) expect(written.get(tensor), tensor).toMatchObject({ data, shape });
      expect(lora.layoutProblems(dir, { tuning, modelDir })).toEqual([]);
    });
  });
});

type Tensors = ReturnType<typeof readSafetensors>;

describe('LoRA+', () => {
  it.each(['compiled', 'eager'] as const)('in the %s model › takes the ten steps of PEFT’s optimizer', (kind) => {
    expectWithinTolerances(adapterDifferences('patterns', kind, { file: 'loraplus-after-10-steps', fields: { loraplus_lr_ratio: 16 } }));
  });
});

describe.each(INITIALISED)('an adapter that begins as %s', (name) => {
  const modelDir = modelOf(name);
  const { fields, losses } = readReference<{ fields: Partial<LoraTuning>; losses: number[] }>('lora', name, 'after-10-steps.json');
  const tuning: ResolvedLora = loraFormat.resolve({ type: 'lora', r: 4, lora_alpha: 8, ...fields });
  const batch = referenceBatch(name, 'lora');

  it('is trained to the logits of PEFT, with its losses, and delivered for the base as it is with the change of PEFT’s converted adapter', () => {
    inTemporaryDir((dir) => {
      withModel(
        () => openForTraining({ modelDir, tuning, seed: 1, weightDecay: 0 }),
        (model) => {
          for (const expected of losses) expect(Math.abs(stepOf(model, batch) - expected)).toBeLessThanOrEqual(TOLERANCES.loss);
          expect(logitsDifference(model, batch, ['lora', name])).toBeLessThanOrEqual(TOLERANCES.logits);
          saveAdapter(model, dir, { tuning, baseModelName: 'base' });
        },
      );
      expect(lora.layoutProblems(dir, { tuning, modelDir })).toEqual([]);
      const theirs = referencePath('lora', name, 'adapter');
      for (const adapterDir of [dir, theirs]) {
        withModel(
          () => openForInference({ modelDir, adapterDir }),
          (model) => expect(logitsDifference(model, batch, ['lora', name])).toBeLessThanOrEqual(TOLERANCES.logits),
        );
      }
      const { r, lora_alpha, rank_pattern } = readAdapterConfig(theirs);
      expect(readAdapterConfig(dir)).toMatchObject({ r, lora_alpha, ...(rank_pattern && { rank_pattern }) });
    });
  });
});

describe('other initial values', () => {
  const dir = referencePath('cases', 'llama-gqa-tied', 'model');
  const batch = referenceBatch('llama-gqa-tied');

  it.each(['gaussian', 'orthogonal', 'pissa_niter_4', false] as const)('%s › leave the base as it is, but false', (initial) => {
    withModel(
      () =>
        openForTraining({ modelDir: dir, tuning: loraFormat.resolve({ type: 'lora', r: 4, init_lora_weights: initial }), seed: 3, weightDecay: 0 }),
      (model) => {
        const moved = logitsDifference(model, batch, ['cases', 'llama-gqa-tied']);
        if (initial === false) expect(moved).toBeGreaterThan(0.01);
        else expect(moved).toBeLessThanOrEqual(TOLERANCES.logits);
        const zeros = [...model.read()].filter(([, { data }]) => data.every((value) => value === 0)).map(([name]) => name);
        expect(zeros.every((name) => initial === 'gaussian' && name.includes('lora_B'))).toBe(true);
      },
    );
  });
});
