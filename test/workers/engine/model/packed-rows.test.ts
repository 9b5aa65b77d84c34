import { describe, expect, it } from 'vitest';
import { largest, largestDifference, referencePath } from '../../../../reference/fixtures.ts';
import { openForInference } from '../../../../workers/engine/compiled/open-model.ts';
import type { Batch } from '../../../../workers/engine/data/batch.ts';
import { layOut } from '../../../../workers/engine/data/batches.ts';
import { type EagerModel, openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { addSums, NO_SUMS } from '../../../../workers/engine/objectives/objective.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const LENGTHS = [9, 14, 5];
const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** Ids spread over the vocabulary; the second half of each example is supervised. */
function examples(vocabSize: number) {
  return LENGTHS.map((length, example) => ({
    inputIds: Int32Array.from({ length }, (_, index) => (index * 37 + example * 101 + 3) % vocabSize),
    lossWeights: Float32Array.from({ length }, (_, index) => Number(index >= length / 2)),
  }));
}

const alone = ({ inputIds, lossWeights }: ReturnType<typeof examples>[number]): Batch => ({
  rows: 1,
  length: inputIds.length,
  inputIds,
  lossWeights,
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
    lossWeights: Float32Array.from(tokens((example, index) => parts[example]!.lossWeights[index]!)),
    positions: Int32Array.from(tokens((_, index) => index)),
    segments: Int32Array.from(tokens((example) => example)),
  };
}

function measure(model: EagerModel, batch: Batch) {
  const { gradients, sums } = model.gradients(batch, POSITION);
  const values = new Map([...gradients].map(([name, gradient]) => [name, Float64Array.from(gradient.dataSync())]));
  tf.dispose([...gradients.values()]);
  return { sums, values };
}

describe.each(['llama-yarn-rope', 'mistral', 'gemma2', 'gpt2', 'gpt-neox', 'phi3-partial', 'qwen3.5', 'granite4-hybrid'])(
  'a row of several examples › for %s',
  (name) => {
    it("gives the sum of its examples' losses and gradients", () => {
      const where = ['families', name] as const;
      const adapterDir = referencePath(...where, 'adapters', 'all-linear', 'adapter');
      const model = openEagerForInference({ modelDir: referencePath(...where, 'model'), adapterDir });
      try {
        const parts = examples(model.config.vocabSize);
        const each = parts.map((part) => measure(model, alone(part)));
        const packed = measure(model, together(parts));
        const sum = (pick: (one: (typeof each)[number]) => number) => each.reduce((total, one) => total + pick(one), 0);
        const apart = each.reduce((total, one) => addSums(total, one.sums), NO_SUMS);
        expect({ ...packed.sums, loss: 0 }).toEqual({ ...apart, loss: 0 });
        expect(Math.abs(packed.sums.loss / apart.loss - 1)).toBeLessThan(1e-6);
        for (const [parameter, got] of packed.values) {
          const wanted = got.map((_, index) => sum((one) => one.values.get(parameter)![index]!));
          expect(largestDifference(got, wanted) / largest(wanted), parameter).toBeLessThan(1e-5);
        }
      } finally {
        model.dispose();
      }
    });
  },
);

/** Lengths on both sides of the original context, 16; two of the short ones share a row. */
const ROWS = [[23], [17], [9, 7], [40], [16]];

describe.each(['llama-dynamic-rope', 'phi3-longrope'])('a pass of long and short texts › for %s', (name) => {
  const where = ['families', name] as const;
  const dirs = { modelDir: referencePath(...where, 'model'), adapterDir: referencePath(...where, 'adapters', 'all-linear', 'adapter') };
  const textOf = (length: number, vocabSize: number) => ({
    inputIds: Int32Array.from({ length }, (_, index) => (index * 37 + length * 101 + 3) % vocabSize),
    lossWeights: Float32Array.from({ length }, (_, index) => Number(index > 0)),
  });

  it('gives each text the angles, and so the loss and the gradients, that it has alone', () => {
    const model = openEagerForInference(dirs);
    const compiled = openForInference(dirs);
    try {
      const rows = ROWS.map((lengths) => lengths.map((length) => textOf(length, model.config.vocabSize)));
      const each = rows.flat().map((text) => measure(model, alone(text)));
      const apart = each.reduce((total, one) => addSums(total, one.sums), NO_SUMS);
      const pass = layOut(rows);
      const together = measure(model, pass);
      expect(Math.abs(together.sums.loss / apart.loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs(compiled.evaluate(pass).loss / apart.loss - 1)).toBeLessThan(1e-6);
      for (const [parameter, got] of together.values) {
        const wanted = got.map((_, index) => each.reduce((total, { values }) => total + values.get(parameter)![index]!, 0));
        expect(largestDifference(got, wanted) / largest(wanted), parameter).toBeLessThan(1e-5);
      }
    } finally {
      model.dispose();
      compiled.dispose();
    }
  });
});
