import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  largest,
  largestDifference,
  readReference,
  referenceBatch,
  referencePath,
  referenceRowTokens,
  referenceTensors,
} from '../../../reference/fixtures.ts';
import { resolveTuning } from '../../../src/formats/tuning/tuning.ts';
import { openForTraining } from '../../../workers/engine/compiled/open-model.ts';
import type { Batch } from '../../../workers/engine/data/batch.ts';
import { layOut } from '../../../workers/engine/data/batches.ts';
import { openEagerForTraining } from '../../../workers/engine/eager/eager-model.ts';
import { objectiveOf } from '../../../workers/engine/objectives/objectives.ts';
import { supervised } from '../../../workers/engine/objectives/supervised.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';

const { runs } = readReference<{ runs: { family: string; factor: number; balance: number; loss: number }[] }>('balance', 'runs.json');
/** Relative: of losses, and of each gradient to its largest element. */
const TOLERANCE = 1e-5;

let modelDir: string;
beforeEach(() => {
  modelDir = mkdtempSync(join(tmpdir(), 'graft-balance-'));
});
afterEach(() => rmSync(modelDir, { recursive: true }));

function copyModel(family: string, factor: number): void {
  cpSync(referencePath('families', family, 'model'), modelDir, { recursive: true });
  const file = join(modelDir, 'config.json');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), output_router_logits: true, router_aux_loss_coef: factor };
  writeFileSync(file, JSON.stringify(config));
}

/** The reference's rows, each a sequence, so that padding is known. */
function batchOf(family: string): Batch {
  const { length, inputIds, lossWeights } = referenceBatch(family, 'families');
  const rows = referenceRowTokens(family, 'families').map((tokens, row) => {
    const [begin, end] = [row * length, row * length + tokens];
    return [{ inputIds: inputIds.slice(begin, end), lossWeights: lossWeights.slice(begin, end) }];
  });
  return layOut(rows, length);
}

describe.each(runs)('a $family that returns its routers’ logits', ({ family, factor, balance, loss }) => {
  it('adds transformers’ balancing loss, with its gradients, compiled and operation by operation', () => {
    const before = tf.memory().numTensors;
    copyModel(family, factor);
    const batch = batchOf(family);
    const position = { seed: 1, step: 1, microBatch: 0 };
    const compiled = openForTraining({ modelDir, tuning: { type: 'full' }, seed: 0, weightDecay: 0 });
    const eager = openEagerForTraining({ modelDir, tuning: { type: 'full' }, seed: 0 });
    const computed = eager.gradients(batch, position);
    try {
      const sums = compiled.accumulate(batch, position);
      for (const found of [compiled.evaluate(batch), sums, eager.evaluate(batch), computed.sums]) {
        const metrics = supervised.metrics(found);
        expect(Math.abs(metrics.loss / loss - 1)).toBeLessThan(TOLERANCE);
        expect(Math.abs(metrics['aux_loss']! / balance - 1)).toBeLessThan(TOLERANCE);
      }
      const gradients = compiled.gradients();
      for (const [name, wanted] of referenceTensors('balance', `${family}.safetensors`)) {
        const mean = (values: Float32Array) => values.map((value) => value / sums.weight);
        expect(largestDifference(mean(gradients.get(name)!), wanted), name).toBeLessThan(TOLERANCE * largest(wanted));
        expect(largestDifference(mean(computed.gradients.get(name)!.dataSync<'float32'>()), wanted), name).toBeLessThan(TOLERANCE * largest(wanted));
      }
    } finally {
      tf.dispose([...computed.gradients.values()]);
      compiled.dispose();
      eager.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('a model that returns its routers’ logits', () => {
  it('is refused for other objectives than the supervised one', () => {
    copyModel('mixtral', 0.1);
    const dpo = objectiveOf('dpo', { loss_type: 'sigmoid', beta: 0.1, label_smoothing: 0 });
    const open = () => openForTraining({ modelDir, tuning: resolveTuning({ type: 'lora' }), objective: dpo, seed: 0, weightDecay: 0 });
    expect(open).toThrow(expect.objectContaining({ code: 'unsupported_objective' }));
  });
});
