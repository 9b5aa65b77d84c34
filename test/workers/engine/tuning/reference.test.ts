import { describe, expect, it } from 'vitest';
import type { ResolvedTuning } from '../../../../src/formats/tuning.ts';
import { AdamW } from '../../../../workers/engine/optim/adamw.ts';
import { tf } from '../../../../workers/engine/tensorflow.ts';
import { openForInference, openTunedModel, type TunedModel } from '../../../../workers/engine/tuning/tuned-model.ts';
import {
  type ExpectedLoss,
  largest,
  largestDifference,
  readReference,
  referenceAdapters,
  referenceBatch,
  referenceCases,
  referencePath,
  referenceTensors,
  relativeWalk,
} from '../reference.ts';

const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** Opens, uses and disposes a model; nothing may be left of it. */
function withModel(open: () => TunedModel, use: (model: TunedModel) => void): void {
  const before = tf.memory().numTensors;
  const model = open();
  try {
    use(model);
  } finally {
    model.dispose();
  }
  expect(tf.memory().numTensors).toBe(before);
}

function expectLogitsAndLoss(model: TunedModel, name: string, where: string[]): void {
  const batch = referenceBatch(name);
  const expected = readReference<ExpectedLoss>(...where, 'expected.json');
  const logits = referenceTensors(...where, 'logits.safetensors').get('logits')!;
  const { vocabSize } = model.config;
  for (let row = 0; row < batch.rows; row++) {
    const first = row * batch.length;
    const tokens = batch.attentionMask.subarray(first, first + batch.length).reduce((sum, real) => sum + real, 0);
    const ids = batch.inputIds.slice(first, first + tokens);
    const wanted = logits.subarray(first * vocabSize, (first + tokens) * vocabSize);
    expect(largestDifference(model.allLogits(ids), wanted)).toBeLessThanOrEqual(1e-4);
    expect(largestDifference(model.nextTokenLogits(ids), wanted.subarray(-vocabSize))).toBeLessThanOrEqual(1e-4);
  }
  const { lossSum, correct, supervisedTokens } = model.evaluate(batch);
  expect(supervisedTokens).toBe(expected.supervisedTokens);
  expect(Math.abs(lossSum / supervisedTokens - expected.loss)).toBeLessThanOrEqual(1e-5);
  expect(correct).toBe(expected.correctTokens);
}

function expectGradients(model: TunedModel, name: string, file: string[]): void {
  const expected = referenceTensors(...file);
  const losses = model.gradients(referenceBatch(name), POSITION);
  expect([...losses.gradients.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [parameter, gradient] of losses.gradients) {
    const wanted = expected.get(parameter)!;
    const got = gradient.dataSync().map((value) => value / losses.supervisedTokens);
    expect(largestDifference(got, wanted) / largest(wanted), parameter).toBeLessThanOrEqual(1e-5);
    gradient.dispose();
  }
}

function expectTenSteps(model: TunedModel, name: string, options: { file: string[]; weightDecay: number }): void {
  const expected = referenceTensors(...options.file);
  const start = new Map([...model.trainable].map(([parameter, variable]) => [parameter, variable.dataSync().slice()]));
  const optimizer = new AdamW(model.trainable, { weightDecay: options.weightDecay });
  const tensors = tf.memory().numTensors;
  for (let step = 1; step <= 10; step++) {
    const { gradients, supervisedTokens } = model.gradients(referenceBatch(name), { ...POSITION, step });
    const means = new Map([...gradients].map(([parameter, gradient]) => [parameter, tf.div(gradient, supervisedTokens)]));
    optimizer.step(means, 1e-4);
    tf.dispose([...gradients.values(), ...means.values()]);
    expect(tf.memory().numTensors, `after step ${step}`).toBe(tensors);
  }
  for (const [parameter, variable] of model.trainable) {
    expect(relativeWalk(variable.dataSync(), expected.get(parameter)!, start.get(parameter)!), parameter).toBeLessThanOrEqual(1e-3);
  }
  optimizer.dispose();
}

describe.each(referenceCases)('the base model %s', (name) => {
  const modelDir = referencePath('cases', name, 'model');

  it('gives the logits and the loss of transformers', () => {
    withModel(
      () => openForInference({ modelDir }),
      (model) => {
        expectLogitsAndLoss(model, name, ['cases', name]);
        expect(model.totalParameters).toBe(readReference<ExpectedLoss>('cases', name, 'expected.json').parameters);
        expect(model.trainable.size).toBe(0);
      },
    );
  });

  const full: ResolvedTuning = { type: 'full' };
  it('fully fine-tuned has the gradients of PyTorch for every weight', () => {
    withModel(
      () => openTunedModel({ modelDir, tuning: full, seed: 1 }),
      (model) => {
        expectGradients(model, name, ['cases', name, 'full-gradients.safetensors']);
        expect(model.trainableParameters).toBe(model.totalParameters);
      },
    );
  });

  it.each([
    { weightDecay: 0, suffix: '' },
    { weightDecay: 0.1, suffix: '-decay' },
  ])('fully fine-tuned for ten steps with decay $weightDecay is where torch.optim.AdamW is', ({ weightDecay, suffix }) => {
    withModel(
      () => openTunedModel({ modelDir, tuning: full, seed: 1 }),
      (model) => expectTenSteps(model, name, { file: ['cases', name, `full-after-10-steps${suffix}.safetensors`], weightDecay }),
    );
  });

  describe.each(referenceAdapters)('with the PEFT adapter %s', (adapter) => {
    const where = ['cases', name, 'adapters', adapter];
    const open = (): TunedModel => openForInference({ modelDir, adapterDir: referencePath(...where, 'adapter') });

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
    ])('after ten steps with decay $weightDecay is where torch.optim.AdamW is', ({ weightDecay, suffix }) => {
      withModel(open, (model) => expectTenSteps(model, name, { file: [...where, `after-10-steps${suffix}.safetensors`], weightDecay }));
    });
  });
});
