import { describe, expect, it } from 'vitest';
import { largest, largestDifference, referencePath } from '../../../../reference/fixtures.ts';
import type { Batch } from '../../../../workers/engine/data/batch.ts';
import { type EagerModel, openForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const LENGTHS = [9, 14, 5];
const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** Ids spread over the vocabulary, the second half of each example to be learned. */
function examples(vocabSize: number) {
  return LENGTHS.map((length, example) => ({
    inputIds: Int32Array.from({ length }, (_, index) => (index * 37 + example * 101 + 3) % vocabSize),
    lossMask: Uint8Array.from({ length }, (_, index) => Number(index >= length / 2)),
  }));
}

const alone = ({ inputIds, lossMask }: ReturnType<typeof examples>[number]): Batch => ({
  rows: 1,
  length: inputIds.length,
  inputIds,
  attentionMask: new Uint8Array(inputIds.length).fill(1),
  lossMask,
});

/** All of them in one row, one after the other. */
function together(parts: ReturnType<typeof examples>): Batch {
  const length = LENGTHS.reduce((sum, one) => sum + one, 0);
  const tokens = <T>(of: (example: number, index: number) => T): T[] =>
    LENGTHS.flatMap((count, example) => Array.from({ length: count }, (_, index) => of(example, index)));
  return {
    rows: 1,
    length,
    inputIds: Int32Array.from(tokens((example, index) => parts[example]!.inputIds[index]!)),
    attentionMask: new Uint8Array(length).fill(1),
    lossMask: Uint8Array.from(tokens((example, index) => parts[example]!.lossMask[index]!)),
    positions: Int32Array.from(tokens((_, index) => index)),
    segments: Int32Array.from(tokens((example) => example)),
  };
}

function measure(model: EagerModel, batch: Batch) {
  const { gradients, ...losses } = model.gradients(batch, POSITION);
  const values = new Map([...gradients].map(([name, gradient]) => [name, Float64Array.from(gradient.dataSync())]));
  tf.dispose([...gradients.values()]);
  return { ...losses, values };
}

describe.each(['llama-yarn-rope', 'mistral', 'gemma2', 'gpt2', 'gpt-neox', 'phi3-partial'])('a row of several examples › of %s', (name) => {
  it("gives each example's own loss and gradients", () => {
    const where = ['families', name] as const;
    const adapterDir = referencePath(...where, 'adapters', 'all-linear', 'adapter');
    const model = openForInference({ modelDir: referencePath(...where, 'model'), adapterDir });
    try {
      const parts = examples(model.config.vocabSize);
      const each = parts.map((part) => measure(model, alone(part)));
      const packed = measure(model, together(parts));
      const sum = (pick: (one: (typeof each)[number]) => number) => each.reduce((total, one) => total + pick(one), 0);
      expect(packed.supervisedTokens).toBe(sum((one) => one.supervisedTokens));
      expect(packed.correct).toBe(sum((one) => one.correct));
      expect(Math.abs(packed.lossSum / sum((one) => one.lossSum) - 1)).toBeLessThan(1e-6);
      for (const [parameter, got] of packed.values) {
        const wanted = got.map((_, index) => sum((one) => one.values.get(parameter)![index]!));
        expect(largestDifference(got, wanted) / largest(wanted), parameter).toBeLessThan(1e-5);
      }
    } finally {
      model.dispose();
    }
  });
});
