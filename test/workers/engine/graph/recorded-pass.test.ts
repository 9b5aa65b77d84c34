import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../../workers/engine/data/batch.ts';
import { FEEDS, feedsOfPass, recordPass } from '../../../../workers/engine/graph/recorded-pass.ts';
import { Recorder } from '../../../../workers/engine/graph/recorder.ts';
import { GraphSession } from '../../../../workers/engine/graph/session.ts';
import { sessionVariable } from '../../../../workers/engine/graph/session-variable.ts';
import { readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { supervisedPositions } from '../../../../workers/engine/loss/supervised-positions.ts';
import { rotariesOf, tokenGrid } from '../../../../workers/engine/model/token-grid.ts';
import { loadWeights, readModelConfig } from '../../../../workers/engine/model/weights.ts';
import { type Tensor, tf } from '../../../../workers/engine/tensorflow.ts';
import { openForInference } from '../../../../workers/engine/tuning/eager-model.ts';
import { trainLora } from '../../../../workers/engine/tuning/lora.ts';
import { largest, largestDifference, referenceBatch, referencePath } from '../reference.ts';

const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** A first row alone and shorter, so that every size is another. */
function smaller({ length, inputIds, attentionMask, lossMask }: Batch): Batch {
  const short = length - 8;
  const cut = <T extends Int32Array | Uint8Array>(values: T) => values.slice(0, short) as T;
  return { rows: 1, length: short, inputIds: cut(inputIds), attentionMask: cut(attentionMask), lossMask: cut(lossMask) };
}

describe.each(readdirSync(referencePath('families')))('a recorded pass of %s', (name) => {
  it('has the losses and gradients of eager code, for batches of other sizes than it was recorded with', () => {
    const before = tf.memory().numTensors;
    const modelDir = referencePath('families', name, 'model');
    const adapterDir = referencePath('families', name, 'adapters', 'all-linear', 'adapter');
    const eager = openForInference({ modelDir, adapterDir });
    const config = readModelConfig(modelDir);
    const weights = loadWeights(modelDir, config);

    const recorder = new Recorder();
    const shapes = new Map([...weights].map(([weight, { shape }]) => [weight, shape]));
    const sizes = [...[...shapes.values()].flat(), config.heads, config.kvHeads, config.heads / config.kvHeads, config.headSize];
    const feeds = feedsOfPass(recorder, config, sizes);
    const frozen = new Map([...shapes].map(([weight, shape]) => [weight, sessionVariable(recorder.graph, `frozen/${weight}`, shape)]));
    const symbolic = new Map([...frozen].map(([weight, { value }]) => [weight, recorder.tensor(value)]));
    const trained = trainLora(symbolic, { config, tuning: readAdapterConfig(adapterDir), seed: 0 });
    const tuned = new Map(
      [...trained.trainable].map(([parameter, { shape }]) => [parameter, sessionVariable(recorder.graph, `tuned/${parameter}`, shape)]),
    );
    for (const [parameter, variable] of trained.trainable) recorder.bind(variable, tuned.get(parameter)!.value);
    const pass = recordPass(recorder, feeds, { config, parameters: trained.parameters(), trainable: trained.trainable });
    const outputs = [pass.lossSum, pass.correct, ...pass.gradients.values()];
    const variables = [...frozen.values(), ...tuned.values()];
    const session = new GraphSession(recorder.graph, [...outputs, ...variables.map(({ assigned }) => assigned)]);
    recorder.dispose();
    const given: [string, Tensor][] = [
      ...[...weights].map(([weight, tensor]): [string, Tensor] => [`frozen/${weight}/given`, tensor]),
      ...[...eager.trainable].map(([parameter, tensor]): [string, Tensor] => [`tuned/${parameter}/given`, tensor]),
    ];
    tf.dispose(
      session.run(
        Object.fromEntries(given),
        variables.map(({ assigned }) => assigned),
      ),
    );

    const whole = referenceBatch(name, 'families');
    for (const batch of [whole, smaller(whole), whole]) {
      const wanted = eager.gradients(batch, POSITION);
      const supervised = supervisedPositions(batch);
      tf.tidy(() => {
        const grid = tokenGrid(batch, config);
        const fed: Record<string, Tensor> = {
          [FEEDS.rows]: tf.scalar(batch.rows, 'int32'),
          [FEEDS.length]: tf.scalar(batch.length, 'int32'),
          [FEEDS.inputIds]: grid.inputIds,
          [FEEDS.positions]: grid.positions,
          [FEEDS.segments]: grid.segments,
          [FEEDS.supervised]: tf.tensor1d(supervised.positions, 'int32'),
          [FEEDS.targets]: tf.tensor1d(supervised.targets, 'int32'),
        };
        for (const [index, rotary] of rotariesOf(config).entries()) fed[FEEDS.frequencies(index)] = grid.frequencies.get(rotary)!;
        const [lossSum, correct, ...gradients] = session.run(fed, outputs).map((tensor) => tensor.dataSync());
        expect(Math.abs(lossSum![0]! / wanted.lossSum - 1)).toBeLessThan(1e-6);
        expect(correct![0]).toBe(wanted.correct);
        for (const [index, parameter] of [...pass.gradients.keys()].entries()) {
          const expected = wanted.gradients.get(parameter)!.dataSync();
          expect(largestDifference(gradients[index]!, expected) / largest(expected), parameter).toBeLessThan(1e-5);
        }
      });
      tf.dispose([...wanted.gradients.values()]);
    }
    session.dispose();
    eager.dispose();
    tf.dispose([...weights.values(), ...trained.trainable.values()]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
