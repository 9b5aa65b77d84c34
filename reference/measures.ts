/** Measures how far the engine is from the values of transformers and PEFT, on one fixture. */

import { CompiledModel } from '../workers/engine/compiled/compiled-model.ts';
import { openForInference, openForTraining } from '../workers/engine/compiled/open-model.ts';
import type { Batch } from '../workers/engine/data/batch.ts';
import { AdamW } from '../workers/engine/eager/adamw.ts';
import type { EagerModel } from '../workers/engine/eager/eager-model.ts';
import { loadAdapter, readAdapterConfig } from '../workers/engine/io/adapter.ts';
import { tf } from '../workers/engine/tensorflow/tensorflow.ts';
import {
  type ExpectedLoss,
  largest,
  largestDifference,
  readReference,
  referenceBatch,
  referencePath,
  referenceRowTokens,
  referenceTensors,
  relativeWalk,
} from './fixtures.ts';

type Model = EagerModel | CompiledModel;

/** Largest differences allowed in f32. */
export const TOLERANCES = { logits: 1e-4, loss: 1e-5, gradients: 1e-5, steps: 1e-3 } as const;
export type Differences = Record<keyof typeof TOLERANCES, number>;

const LEARNING_RATE = 1e-4;
const STEPS = 10;
const POSITION = { seed: 1, step: 1, microBatch: 0 };

/** Opens a model, uses it and disposes of it. @throws Error if it leaves tensors behind */
export function withModel<M extends { dispose(): void }, T>(open: () => M, use: (model: M) => T): T {
  const before = tf.memory().numTensors;
  const model = open();
  let result: T;
  try {
    result = use(model);
  } finally {
    model.dispose();
  }
  const left = tf.memory().numTensors - before;
  if (left !== 0) throw new Error(`the model left ${left} tensors behind`);
  return result;
}

/**
 * @param base the fixture of the base model
 * @returns max |Δ| over the logits of all tokens but padding. Rows are as long as the batch, because some rotary scalings depend on the length
 */
export function logitsDifference(model: Model, batch: Batch, where: string[], base: string[] = where): number {
  const logits = referenceTensors(...where, 'logits.safetensors').get('logits')!;
  const { vocabSize } = model.config;
  const tokens = referenceRowTokens(base[1]!, base[0]);
  let worst = 0;
  for (let row = 0; row < batch.rows; row++) {
    const first = row * batch.length;
    const wanted = logits.subarray(first * vocabSize, (first + tokens[row]!) * vocabSize);
    const padded = batch.inputIds.slice(first, first + batch.length);
    worst = Math.max(worst, largestDifference(model.allLogits(padded).subarray(0, wanted.length), wanted));
  }
  return worst;
}

/** @returns |Δ| of the mean loss, nats */
export function lossDifference(model: Model, batch: Batch, where: string[]): number {
  const { loss, weight } = model.evaluate(batch);
  return Math.abs(loss / weight - readReference<ExpectedLoss>(...where, 'expected.json').loss);
}

/** @returns the largest max |Δ| ÷ max |g| of any parameter; infinite if the parameters are not the same ones */
export function gradientsDifference(model: Model, batch: Batch, file: string[]): number {
  const expected = referenceTensors(...file);
  const { gradients, weight } = summedGradients(model, batch);
  let worst = gradients.size === expected.size ? 0 : Number.POSITIVE_INFINITY;
  for (const [parameter, gradient] of gradients) {
    const wanted = expected.get(parameter) ?? [];
    const got = gradient.map((value) => value / weight);
    worst = Math.max(worst, largestDifference(got, wanted) / largest(wanted));
  }
  return worst;
}

function summedGradients(model: Model, batch: Batch): { gradients: Map<string, Float32Array>; weight: number } {
  if (model instanceof CompiledModel) {
    const { weight } = model.accumulate(batch, POSITION);
    return { weight, gradients: model.gradients() };
  }
  const { gradients, sums } = model.gradients(batch, POSITION);
  const values = new Map([...gradients].map(([parameter, gradient]) => [parameter, gradient.dataSync<'float32'>()]));
  tf.dispose([...gradients.values()]);
  return { weight: sums.weight, gradients: values };
}

/**
 * @param model before any training; a compiled one has its own weight decay
 * @param counts which parameters are compared
 * @returns the largest ‖Δ − Δref‖ ÷ ‖Δref‖ of any parameter after ten steps of AdamW at 1e-4
 * @throws Error if a step leaves tensors behind
 */
export function stepsDifference(model: Model, batch: Batch, file: string[], weightDecay = 0, counts = (_parameter: string): boolean => true): number {
  const expected = referenceTensors(...file);
  const start = new Map([...model.read()].map(([parameter, { data }]) => [parameter, data.slice()]));
  const step = model instanceof CompiledModel ? compiledStep(model, batch) : eagerStep(model, batch, weightDecay);
  const tensors = tf.memory().numTensors;
  for (let number = 1; number <= STEPS; number++) {
    step.take();
    const left = tf.memory().numTensors - tensors;
    if (left !== 0) throw new Error(`step ${number} left ${left} tensors behind`);
  }
  step.dispose();
  const compared = [...model.read()].filter(([parameter]) => counts(parameter));
  return Math.max(...compared.map(([parameter, { data }]) => relativeWalk(data, expected.get(parameter)!, start.get(parameter)!)));
}

function compiledStep(model: CompiledModel, batch: Batch) {
  const take = (): void => {
    const { weight } = model.accumulate(batch, POSITION);
    model.update({ learningRate: LEARNING_RATE, maxNorm: 0, weight });
  };
  return { take, dispose: () => {} };
}

function eagerStep(model: EagerModel, batch: Batch, weightDecay: number) {
  const optimizer = new AdamW(model.trainable, { weightDecay });
  const take = (): void => {
    const { gradients, sums } = model.gradients(batch, POSITION);
    const means = new Map([...gradients].map(([parameter, gradient]) => [parameter, tf.div(gradient, sums.weight)]));
    optimizer.step(means, LEARNING_RATE);
    tf.dispose([...gradients.values(), ...means.values()]);
  };
  return { take, dispose: () => optimizer.dispose() };
}

/**
 * Differences of the compiled model: for logits and loss, the larger one of the base model and its PEFT adapter; for gradients and ten steps, the
 * adapter's.
 * @param where the fixture, e.g. `['families', 'gemma2']`
 */
export function referenceDifferences(where: [kind: string, name: string]): Differences {
  const batch = referenceBatch(where[1], where[0]);
  const modelDir = referencePath(...where, 'model');
  const base = withModel(
    () => openForInference({ modelDir }),
    (model) => ({ logits: logitsDifference(model, batch, where), loss: lossDifference(model, batch, where) }),
  );
  const tuned = [...where, 'adapters', 'all-linear'];
  const adapterDir = referencePath(...tuned, 'adapter');
  const open = (): CompiledModel => {
    const model = openForTraining({ modelDir, tuning: readAdapterConfig(adapterDir), seed: 0, weightDecay: 0 });
    loadAdapter(model, adapterDir);
    return model;
  };
  const beforeTraining = withModel(open, (model) => ({
    logits: Math.max(base.logits, logitsDifference(model, batch, tuned)),
    loss: Math.max(base.loss, lossDifference(model, batch, tuned)),
    gradients: gradientsDifference(model, batch, [...tuned, 'gradients.safetensors']),
  }));
  return { ...beforeTraining, steps: withModel(open, (model) => stepsDifference(model, batch, [...tuned, 'after-10-steps.safetensors'])) };
}
