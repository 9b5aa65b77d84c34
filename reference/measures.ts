/** Measures how far the engine is from the values of transformers and PEFT, on one fixture. */

import type { ResolvedLora } from '../src/formats/tuning/lora-fields.ts';
import { trainedWeights } from '../src/formats/tuning/lora-weights.ts';
import { CompiledModel } from '../workers/engine/compiled/compiled-model.ts';
import { openForInference, openForTraining } from '../workers/engine/compiled/open-model.ts';
import type { Batch } from '../workers/engine/data/batch.ts';
import { AdamW } from '../workers/engine/eager/adamw.ts';
import { type EagerModel, openEagerForTraining } from '../workers/engine/eager/eager-model.ts';
import { loadAdapter, readAdapterConfig } from '../workers/engine/io/adapter.ts';
import { readModelConfig } from '../workers/engine/model/weights.ts';
import { tf } from '../workers/engine/tensorflow/tensorflow.ts';
import { methodOf, withAdapter } from '../workers/engine/tuning/methods.ts';
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

/** How parameters are compared with those of a file. */
interface Compared {
  weightDecay?: number;
  /** Whether a parameter is compared. */
  counts?(parameter: string): boolean;
  inFile?: InFile;
}

/** A parameter's name in a fixture. */
type InFile = (parameter: string) => string;

/** @returns the largest max |Δ| ÷ max |g| of any parameter; infinite if the parameters are not the same ones */
export function gradientsDifference(model: Model, batch: Batch, file: string[], inFile: InFile = (name) => name): number {
  const expected = referenceTensors(...file);
  const { gradients, weight } = summedGradients(model, batch);
  let worst = gradients.size === expected.size ? 0 : Number.POSITIVE_INFINITY;
  for (const [parameter, gradient] of gradients) {
    const wanted = expected.get(inFile(parameter)) ?? [];
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
export function stepsDifference(
  model: Model,
  batch: Batch,
  file: string[],
  { weightDecay = 0, counts = () => true, inFile = (name) => name }: Compared = {},
): number {
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
  return Math.max(...compared.map(([parameter, { data }]) => relativeWalk(data, expected.get(inFile(parameter))!, start.get(parameter)!)));
}

/** Takes a step of AdamW. @returns the mean loss before it */
export function stepOf(model: CompiledModel, batch: Batch): number {
  const { loss, weight } = model.accumulate(batch, POSITION);
  model.update({ learningRate: LEARNING_RATE, maxNorm: 0, weight });
  return loss / weight;
}

function compiledStep(model: CompiledModel, batch: Batch) {
  return { take: () => void stepOf(model, batch), dispose: () => {} };
}

function eagerStep(model: EagerModel, batch: Batch, weightDecay: number) {
  const { tuning } = model;
  const method = tuning === null ? null : methodOf(tuning);
  const rateFactor = (name: string): number => method?.rateFactor?.(name, { shape: model.trainable.get(name)!.shape, tuning: tuning! }) ?? 1;
  const optimizer = new AdamW(model.trainable, { weightDecay, rateFactor });
  const take = (): void => {
    const { gradients, sums } = model.gradients(batch, POSITION);
    const means = new Map([...gradients].map(([parameter, gradient]) => [parameter, tf.div(gradient, sums.weight)]));
    optimizer.step(means, LEARNING_RATE);
    tf.dispose([...gradients.values(), ...means.values()]);
  };
  return { take, dispose: () => optimizer.dispose() };
}

/** Ten steps of PEFT on one of its adapters, and the tuning that they were taken with. */
interface Taken {
  file: string;
  fields?: Partial<ResolvedLora>;
}

/** How far a model with one of PEFT's adapters is from what PEFT computed: see test/fixtures/reference/lora.py. */
export function adapterDifferences(name: string, kind: 'compiled' | 'eager', { file, fields = {} }: Taken = { file: 'after-10-steps' }): Differences {
  const where = ['lora', name];
  const batch = referenceBatch(name, 'lora');
  const modelDir = referencePath(...readReference<string[]>('lora', name, 'base.json'), 'model');
  const adapterDir = referencePath(...where, 'adapter');
  const tuning = { ...readAdapterConfig(adapterDir), ...fields };
  const inFile = (parameter: string): string => trainedWeights(readModelConfig(modelDir), tuning).get(parameter) ?? parameter;
  const open = (): Model =>
    withAdapter<Model>(
      kind === 'eager' ? openEagerForTraining({ modelDir, tuning, seed: 0 }) : openForTraining({ modelDir, tuning, seed: 0, weightDecay: 0 }),
      tuning,
      adapterDir,
    );
  const beforeTraining = withModel(open, (model) => ({
    logits: logitsDifference(model, batch, where),
    loss: lossDifference(model, batch, where),
    gradients: gradientsDifference(model, batch, [...where, 'gradients.safetensors'], inFile),
  }));
  return { ...beforeTraining, steps: withModel(open, (model) => stepsDifference(model, batch, [...where, `${file}.safetensors`], { inFile })) };
}

/**
 * Differences of the compiled model: for logits and loss, the larger one of the base model and its PEFT adapter; for gradients and ten steps, the
 * adapter's, or those of full fine-tuning.
 * @param where the fixture, e.g. `['families', 'gemma2']`
 */
export function referenceDifferences(where: [kind: string, name: string], trained: 'lora' | 'full' = 'lora'): Differences {
  const batch = referenceBatch(where[1], where[0]);
  const modelDir = referencePath(...where, 'model');
  const base = withModel(
    () => openForInference({ modelDir }),
    (model) => ({ logits: logitsDifference(model, batch, where), loss: lossDifference(model, batch, where) }),
  );
  if (trained === 'full') {
    const open = () => openForTraining({ modelDir, tuning: { type: 'full' }, seed: 0, weightDecay: 0 });
    const gradients = withModel(open, (model) => gradientsDifference(model, batch, [...where, 'full-gradients.safetensors']));
    return { ...base, gradients, steps: withModel(open, (model) => stepsDifference(model, batch, [...where, 'full-after-10-steps.safetensors'])) };
  }
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
