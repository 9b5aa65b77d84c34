import { describe, expect, it } from 'vitest';
import {
  type ExpectedLoss,
  largestDifference,
  readReference,
  referenceAdapters,
  referenceBatch,
  referenceCases,
  referencePath,
  referenceRowTokens,
} from '../../../../reference/fixtures.ts';
import { gradientsDifference, logitsDifference, lossDifference, stepsDifference, TOLERANCES, withModel } from '../../../../reference/measures.ts';
import type { ResolvedTuning } from '../../../../src/formats/tuning/tuning.ts';
import { type EagerModel, openEagerForInference, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';

function expectLogitsAndLoss(model: EagerModel, name: string, where: string[]): void {
  const batch = referenceBatch(name);
  const expected = readReference<ExpectedLoss>(...where, 'expected.json');
  expect(logitsDifference(model, batch, where)).toBeLessThanOrEqual(TOLERANCES.logits);
  expect(lossDifference(model, batch, where)).toBeLessThanOrEqual(TOLERANCES.loss);
  const { correct, weight, targets } = model.evaluate(batch);
  expect(weight).toBe(expected.supervisedTokens);
  expect(targets).toBe(expected.supervisedTokens);
  expect(correct).toBe(expected.correctTokens);
  const firstRow = batch.inputIds.slice(0, referenceRowTokens(name)[0]);
  const all = model.allLogits(firstRow);
  expect(largestDifference(model.nextTokenLogits(firstRow), all.subarray(-model.config.vocabSize))).toBeLessThanOrEqual(1e-5);
}

const expectGradients = (model: EagerModel, name: string, file: string[]): void =>
  expect(gradientsDifference(model, referenceBatch(name), file)).toBeLessThanOrEqual(TOLERANCES.gradients);

const expectTenSteps = (model: EagerModel, name: string, { file, weightDecay }: { file: string[]; weightDecay: number }): void =>
  expect(stepsDifference(model, referenceBatch(name), file, { weightDecay })).toBeLessThanOrEqual(TOLERANCES.steps);

describe.each(referenceCases)('the base model %s', (name) => {
  const modelDir = referencePath('cases', name, 'model');

  it('gives the logits and the loss of transformers', () => {
    withModel(
      () => openEagerForInference({ modelDir }),
      (model) => {
        expectLogitsAndLoss(model, name, ['cases', name]);
        expect(model.totalParameters).toBe(readReference<ExpectedLoss>('cases', name, 'expected.json').parameters);
        expect(model.trainable.size).toBe(0);
      },
    );
  });

  const full: ResolvedTuning = { type: 'full' };
  it('has the gradients of PyTorch for every weight in full fine-tuning', () => {
    withModel(
      () => openEagerForTraining({ modelDir, tuning: full, seed: 1 }),
      (model) => {
        expectGradients(model, name, ['cases', name, 'full-gradients.safetensors']);
        expect(model.trainableParameters).toBe(model.totalParameters);
      },
    );
  });

  it.each([
    { weightDecay: 0, suffix: '' },
    { weightDecay: 0.1, suffix: '-decay' },
  ])('matches torch.optim.AdamW after ten steps of full fine-tuning with decay $weightDecay', ({ weightDecay, suffix }) => {
    withModel(
      () => openEagerForTraining({ modelDir, tuning: full, seed: 1 }),
      (model) => expectTenSteps(model, name, { file: ['cases', name, `full-after-10-steps${suffix}.safetensors`], weightDecay }),
    );
  });

  describe.each(referenceAdapters)('with the PEFT adapter %s', (adapter) => {
    const where = ['cases', name, 'adapters', adapter];
    const open = (): EagerModel => openEagerForInference({ modelDir, adapterDir: referencePath(...where, 'adapter') });

    it('gives the logits and the loss of PEFT', () => {
      withModel(open, (model) => {
        expectLogitsAndLoss(model, name, where);
        expect(model.trainableParameters).toBe(readReference<ExpectedLoss>(...where, 'expected.json').adapterParameters);
      });
    });

    it('has the gradients of PyTorch for every A and B', () => {
      withModel(open, (model) => expectGradients(model, name, [...where, 'gradients.safetensors']));
    });

    it.each([
      { weightDecay: 0, suffix: '' },
      { weightDecay: 0.1, suffix: '-decay' },
    ])('matches torch.optim.AdamW after ten steps with decay $weightDecay', ({ weightDecay, suffix }) => {
      withModel(open, (model) => expectTenSteps(model, name, { file: [...where, `after-10-steps${suffix}.safetensors`], weightDecay }));
    });
  });
});
