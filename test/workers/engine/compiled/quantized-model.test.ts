import { afterEach, describe, expect, it } from 'vitest';
import {
  type ExpectedLoss,
  largest,
  largestDifference,
  readReference,
  referenceBatch,
  referencePath,
  referenceTensors,
  relativeWalk,
} from '../../../../reference/fixtures.ts';
import { QUANTIZATIONS } from '../../../../src/formats/quantization.ts';
import type { CompiledModel } from '../../../../workers/engine/compiled/compiled-model.ts';
import { openForInference, openForTraining, openTogether } from '../../../../workers/engine/compiled/open-model.ts';
import { loadLoraAdapter, readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const MODELS = [
  ['llama', 'cases', 'llama-gqa-tied'],
  ['gpt2', 'families', 'gpt2'],
  ['granite4-hybrid', 'families', 'granite4-hybrid'],
] as const;
const POSITION = { seed: 1, step: 1, microBatch: 0 };
/** Of sums in another order. */
const [LOGITS_TOLERANCE, LOSS_TOLERANCE, GRADIENT_TOLERANCE, WALK_TOLERANCE] = [2e-5, 2e-6, 1e-4, 1e-3];

const opened: CompiledModel[] = [];
afterEach(() => {
  for (const model of opened.splice(0)) model.dispose();
});

describe.each(MODELS.flatMap(([model, kind, name]) => QUANTIZATIONS.map((quantization) => ({ model, kind, name, quantization }))))(
  'a $model whose frozen weights are held in $quantization',
  ({ model, kind, name, quantization }) => {
    const reference = `${model}-${quantization}`;
    const modelDir = referencePath(kind, name, 'model');
    const adapterDir = referencePath(kind, name, 'adapters', 'all-linear', 'adapter');
    const batch = referenceBatch(name, kind);
    const tensors = (file: string) => referenceTensors('quantization', reference, file);
    const training = (): CompiledModel => {
      const made = openForTraining({ modelDir, tuning: readAdapterConfig(adapterDir), seed: 0, weightDecay: 0, quantization });
      loadLoraAdapter(made, adapterDir);
      opened.push(made);
      return made;
    };

    it.each(['base-', ''])('has the loss and logits of PyTorch with the weights that bitsandbytes dequantises (%sexpected)', (prefix) => {
      const made = openForInference({ modelDir, ...(prefix === '' && { adapterDir }), quantization });
      opened.push(made);
      const { loss, correctTokens } = readReference<ExpectedLoss>('quantization', reference, `${prefix}expected.json`);
      const sums = made.evaluate(batch);
      expect(Math.abs(sums.loss / sums.weight / loss - 1)).toBeLessThan(LOSS_TOLERANCE);
      expect(sums.correct).toBe(correctTokens);
      const wanted = tensors(`${prefix}logits.safetensors`).get('logits')!;
      const row = batch.inputIds.slice(0, batch.length);
      const logits = made.allLogits(row);
      const real = wanted.subarray(0, logits.length).findLastIndex((value) => value !== 0) + 1;
      expect(real).toBeGreaterThan(made.config.vocabSize);
      expect(largestDifference(logits.subarray(0, real), wanted.subarray(0, real))).toBeLessThan(LOGITS_TOLERANCE);
    });

    it('has the gradients of PyTorch', () => {
      const made = training();
      const { weight } = made.accumulate(batch, POSITION);
      const wanted = tensors('gradients.safetensors');
      const gradients = made.gradients();
      expect([...gradients.keys()].sort()).toEqual([...wanted.keys()].sort());
      for (const [parameter, gradient] of wanted) {
        const mean = gradients.get(parameter)!.map((sum) => sum / weight);
        expect(largestDifference(mean, gradient) / largest(gradient), parameter).toBeLessThan(GRADIENT_TOLERANCE);
      }
    });

    it('follows PyTorch over ten steps of AdamW', () => {
      const made = training();
      const start = new Map([...made.read()].map(([parameter, { data }]) => [parameter, data.slice()]));
      const { learningRate, losses } = readReference<{ learningRate: number; losses: number[] }>('quantization', reference, 'after-10-steps.json');
      for (const wanted of losses) {
        const { loss, weight } = made.accumulate(batch, POSITION);
        expect(Math.abs(loss / weight / wanted - 1)).toBeLessThan(LOSS_TOLERANCE);
        made.update({ learningRate, maxNorm: 0, weight });
      }
      const after = made.read();
      for (const [parameter, wanted] of tensors('after-10-steps.safetensors'))
        expect(relativeWalk(after.get(parameter)!.data, wanted, start.get(parameter)!), parameter).toBeLessThan(WALK_TOLERANCE);
    });

    it('computes none of its products with a matrix in floats, and frees what it held', () => {
      const before = tf.memory().numTensors;
      const made = openForTraining({ modelDir, tuning: readAdapterConfig(adapterDir), seed: 0, weightDecay: 0, quantization });
      const operations = made.profile(batch, POSITION).map(({ op }) => op);
      made.dispose();
      expect(operations.filter((op) => op === 'GraftQuantizedProduct').length).toBeGreaterThan(2 * made.config.layers);
      expect(operations).not.toContain('GraftDequantize');
      expect(tf.memory().numTensors).toBe(before);
    });
  },
);

describe('runs on one base that is held in NF4', () => {
  it('have the losses that each has alone', () => {
    const [, kind, name] = MODELS[0];
    const choices = { modelDir: referencePath(kind, name, 'model'), quantization: 'nf4' } as const;
    const members = [1, 2].map((seed) => ({
      tuning: readAdapterConfig(referencePath(kind, name, 'adapters', 'all-linear', 'adapter')),
      seed,
      weightDecay: 0,
    }));
    const batch = { ...referenceBatch(name, kind), contents: [] };
    const [first, ...rest] = members.map((member) => ({ ...choices, ...member }));
    const together = openTogether([first!, ...rest], { members, measures: false });
    for (const [index, member] of members.entries()) {
      const alone = openForTraining({ ...choices, ...member });
      opened.push(alone);
      const [shared, own] = [together[index]!.evaluate(batch), alone.evaluate(batch)] as { loss: number }[];
      expect(Math.abs(shared!.loss / own!.loss - 1)).toBeLessThan(1e-5);
      together[index]!.dispose();
    }
  });
});
