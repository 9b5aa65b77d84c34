/** Checks that the files a run delivered, read back and loaded, are the model that was trained. */
import { join } from 'node:path';
import { LOSS_TOLERANCE, type ProofFindings } from '../../../src/formats/adapter-proof.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { openForInference } from '../compiled/open-model.ts';
import type { StepReport } from '../contract.ts';
import { type ExampleStore, firstExamples, inMemory } from '../data/example-store.ts';
import { evaluate } from '../evaluate.ts';
import { decodeFloats, encodeFloats } from '../io/float-formats.ts';
import { storedDtypeOf } from '../io/model-directory.ts';
import type { Run } from '../prepare.ts';
import { methodOf } from '../tuning/methods.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';
import { largestDifference, type Predictions, predict } from './base-predictions.ts';
import { contentOf } from './stored-content.ts';

/** Without a validation file the loss is measured on at most this many training examples and tokens. */
const SAMPLE_EXAMPLES = 64;
const SAMPLE_TOKENS = 32_768;
/** How much a logit of the base model in memory may differ from before training: a GPU's sums have no fixed order. */
const BASE_TOLERANCE = 1e-3;

export interface Delivery {
  /** The base model's directory. */
  modelDir: string;
  /** Directory of the files as they were read back. */
  deliveredDir: string;
  /** Report of the run's last step, whose full_valid_loss is the live model's. */
  last: StepReport;
  /** Called after each batch of an evaluation. */
  evaluating?(): void | Promise<void>;
  signal?: AbortSignal;
}

type Measured = Omit<ProofFindings, 'seconds'>;

/**
 * Takes over the run and disposes of it. An adapter whose zeros leave the base as it is, is loaded into the base model in memory, after the trained
 * values have been set to zero and the base has been shown to predict what it did before the first step. Anything else is opened again from the
 * delivered files.
 * @returns what was found; `problems` is empty when the files are proven
 */
export async function prove(run: Run, delivery: Delivery): Promise<ProofFindings> {
  const startedMs = performance.now();
  const measured: Measured = { tensors: null, effect: null, loss: null, problems: [] };
  try {
    const method = methodOf(run.tuning);
    measured.problems.push(...method.layoutProblems(delivery.deliveredDir, { tuning: run.tuning, modelDir: delivery.modelDir }));
    describeTensors(measured, method.tensorFiles(delivery.deliveredDir));
    const isBaseAtZero = method.adapter?.isBaseAtZero(run.tuning) ?? false;
    if (measured.problems.length === 0) await (isBaseAtZero ? proveInMemory : proveOnDisk)(run, delivery, measured);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    measured.problems.push(error.message);
  } finally {
    run.dispose();
  }
  const problems = measured.problems.map((problem) => problem.replaceAll(join(delivery.deliveredDir, '/'), ''));
  return { ...measured, problems, seconds: (performance.now() - startedMs) / 1000 };
}

async function proveInMemory(run: Run, { deliveredDir, last, evaluating, signal }: Delivery, measured: Measured): Promise<void> {
  const { model } = run;
  const sample = lossSample(run);
  const live = last.metrics['full_valid_loss'] ?? (await evaluate(model, sample.examples, evaluating)).loss;
  signal?.throwIfAborted();
  // No trained value stays in memory: with zeros the model is its base, with the files' values it is what was delivered.
  model.assign(new Map([...model.trainable].map(([name, { shape }]) => [name, new Float32Array(shapeSize(shape))])));
  const drift = largestDifference(predict(model, run.base.prompts), run.base.logits);
  if (!(drift <= BASE_TOLERANCE)) measured.problems.push(`without its adapter the model's predictions differ from the base model's by ${drift}`);
  methodOf(run.tuning).adapter!.load(model, deliveredDir);
  measureEffect(measured, run.base, model);
  signal?.throwIfAborted();
  await measureLoss(measured, { model, sample, live, evaluating });
}

async function proveOnDisk(run: Run, { modelDir, deliveredDir, last, evaluating, signal }: Delivery, measured: Measured): Promise<void> {
  const sample = lossSample(run);
  const isModel = methodOf(run.tuning).adapter === null;
  const dtype = isModel ? storedDtypeOf(modelDir) : 'F32';
  if (dtype !== 'F32') roundWeights(run.model, dtype);
  const reported = dtype === 'F32' ? last.metrics['full_valid_loss'] : undefined;
  const live = reported ?? (await evaluate(run.model, sample.examples, evaluating)).loss;
  signal?.throwIfAborted();
  run.disposeModel(); // so that two models are never in memory at once
  const { precision, quantization } = run.hyperparameters;
  const { objective } = run.model;
  const files = isModel ? { modelDir: deliveredDir, trainedWith: run.tuning } : { modelDir, adapterDir: deliveredDir };
  const delivered = openForInference({ ...files, objective, precision, quantization });
  try {
    measureEffect(measured, run.base, delivered);
    signal?.throwIfAborted();
    await measureLoss(measured, { model: delivered, sample, live, evaluating });
  } finally {
    delivered.dispose();
  }
}

function describeTensors(measured: Measured, paths: string[]): void {
  const contents = paths.map((path) => contentOf(path));
  const sum = (pick: 'count' | 'parameters') => contents.reduce((total, content) => total + content[pick], 0);
  measured.tensors = { count: sum('count'), parameters: sum('parameters'), finite: contents.every(({ nonFinite }) => nonFinite.length === 0) };
  measured.problems.push(...contents.flatMap(({ nonFinite }) => nonFinite));
}

interface LossSample {
  measuredOn: 'validation_file' | 'training_sample';
  examples: ExampleStore;
}

function lossSample({ training, validation }: Run): LossSample {
  if (validation !== null) return { measuredOn: 'validation_file', examples: validation.examples };
  let tokens = 0;
  const examples = firstExamples(training.examples, SAMPLE_EXAMPLES).filter(({ inputIds }, index) => {
    tokens += inputIds.length;
    return index === 0 || tokens <= SAMPLE_TOKENS;
  });
  return { measuredOn: 'training_sample', examples: inMemory(examples) };
}

function measureEffect(measured: Measured, { prompts, logits }: Predictions, model: TunedModel): void {
  const largest = largestDifference(predict(model, prompts), logits);
  if (!Number.isFinite(largest)) {
    measured.problems.push('with the delivered files the model predicts NaN or infinite logits');
    return;
  }
  measured.effect = { prompts: prompts.length, largest_difference: largest };
  if (largest === 0)
    measured.problems.push(
      `with the delivered files the model predicts exactly what its base does, on ${prompts.length} prompts: training changed nothing (is the learning rate too small, or is every step a warm-up step?)`,
    );
}

interface LossOf {
  model: TunedModel;
  sample: LossSample;
  live: number;
  evaluating: Delivery['evaluating'];
}

async function measureLoss(measured: Measured, { model, sample, live, evaluating }: LossOf): Promise<void> {
  const { loss: delivered } = await evaluate(model, sample.examples, evaluating);
  const difference = Math.abs(delivered - live);
  if (!(difference <= LOSS_TOLERANCE))
    measured.problems.push(
      `the loss with the delivered files is ${delivered}, the live model's ${live}: they may differ by at most ${LOSS_TOLERANCE}`,
    );
  if (![delivered, live].every(Number.isFinite)) return;
  const { measuredOn: measured_on, examples } = sample;
  measured.loss = { measured_on, examples: examples.length, live, delivered, difference, tolerance: LOSS_TOLERANCE };
}

/** Numbers that are rounded at once, so that little memory is needed for them. */
const ROUNDED_AT_ONCE = 2 ** 20;

/** Rounds the live weights as storing does, so that the losses are equal to the bit and rounding is not mistaken for damage. */
function roundWeights(model: TunedModel, dtype: 'F16' | 'BF16'): void {
  const values = model.readLazily?.() ?? model.read();
  const rounded = (name: string): Float32Array => {
    const { data } = values.get(name)!;
    const result = new Float32Array(data.length);
    for (let first = 0; first < data.length; first += ROUNDED_AT_ONCE) {
      const stored = encodeFloats(data.subarray(first, first + ROUNDED_AT_ONCE), dtype);
      result.set(decodeFloats(stored.slice(), dtype), first);
    }
    return result;
  };
  model.assign({ has: (name) => values.has(name), get: rounded });
}
