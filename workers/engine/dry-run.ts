/** What a job would need, measured: two real optimizer steps on the largest batch it can have, and one checkpoint. Nothing is kept. */
import { rmSync, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DryRun } from '../../src/formats/dry-run.ts';
import { estimateMemory } from '../../src/formats/memory-estimate.ts';
import { measuredOn } from '../../src/formats/metrics.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { TrainOptions } from './contract.ts';
import { type Batch, type Example, supervisedTokens, tokensIn } from './data/batch.ts';
import { byLength, inMemory } from './data/example-store.ts';
import { evaluate, validationBatch, yieldToEventLoop } from './evaluate.ts';
import { findLearningRate, remembered } from './find-learning-rate.ts';
import { DELIVERABLE } from './io/checkpoint.ts';
import { storedDtypeOf } from './io/model-directory.ts';
import { productsIn } from './machine/precision.ts';
import { processMemory } from './machine/process-memory.ts';
import { learningRate } from './optim/schedule.ts';
import type { Run } from './prepare.ts';
import { computeReferences } from './references.ts';
import { saveCheckpoint } from './save-checkpoint.ts';
import { passesOf, takeStep } from './step.ts';
import { backend } from './tensorflow/backend.ts';
import { scheduleOf } from './train.ts';
import { methodOf } from './tuning/methods.ts';

type DryRunOptions = Pick<TrainOptions, 'modelDir' | 'seed' | 'signal' | 'report'> & {
  /** The checkpoint is written here, and removed. */
  checkpointsDir: string;
};

/** The first includes what happens once; the second is timed. */
const STEPS = 2;

/**
 * Trains a prepared run for two steps. The caller disposes of the run, whose model is then another one.
 * @throws Refusal `training_diverged`, and what the run itself would throw; the signal's reason when it is aborted
 */
export async function dryRun(run: Run, { modelDir, seed, signal, report, checkpointsDir }: DryRunOptions): Promise<DryRun> {
  const { model, training, hyperparameters, tuning, facts, totalSteps } = run;
  await report?.prepared?.(facts);
  signal?.throwIfAborted();

  // Before anything is trained, because it needs the model that training begins with.
  const finds = hyperparameters.learning_rate_finder === true;
  if (finds) await computeReferences(run, { onPass: report?.evaluating, signal });
  const restore = finds ? remembered(model) : null;

  // Two steps on the longest examples: no step has more tokens, and no pass more than the largest of theirs or PASS_TOKENS.
  const examples: Example[] = byLength(training.examples, hyperparameters.batch_size).next().value ?? [];
  const tokens = tokensIn(examples);
  const passes = passesOf(model, examples);
  const schedule = scheduleOf(run);
  const problemOf = (loss: number): string | null => run.badSteps.problemOf(loss);
  const stepSeconds: number[] = [];
  let metrics = {};
  for (let step = 1; step <= STEPS; step++) {
    const startedMs = performance.now();
    const rate = learningRate(step - 1, schedule);
    const taken = await takeStep(model, passes, { step, seed, learningRate: rate, maxNorm: hyperparameters.max_grad_norm, problemOf });
    if (taken.problem !== null)
      throw new Refusal('training_diverged', `step ${step} of the longest examples could not be taken: ${taken.problem}`, {
        param: 'hyperparameters.learning_rate',
        hint: 'Look at these examples. If others go well, the job leaves the step out.',
      });
    stepSeconds.push(secondsSince(startedMs));
    metrics = measuredOn('train', taken.metrics);
    await report?.evaluating?.(); // a sign of progress
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
  const [firstStep, step] = stepSeconds as [number, number];
  const evaluationPerToken = await evaluationSecondsPerToken(run, report?.evaluating);
  signal?.throwIfAborted();
  const answered = await run.answers?.take(STEPS, { onPass: report?.evaluating, signal });

  const checkpointStartedMs = performance.now();
  const last = { step: STEPS, totalSteps, metrics };
  const dir = await saveCheckpoint(run, checkpointsDir, { seed, step: STEPS, trainedTokens: STEPS * tokens, last, writing: report?.writing });
  const checkpoint = secondsSince(checkpointStartedMs);
  const checkpointBytes = await bytesIn(dir);
  const weightFiles = methodOf(tuning).tensorFiles(join(dir, DELIVERABLE));
  const deliveredBytes = weightFiles.reduce((sum, path) => sum + statSync(path).size, 0);
  rmSync(dir, { recursive: true, force: true });

  const memory = memoryOf(run, { modelDir, passes: [...passes.learned, ...passes.prior] });
  restore?.();
  const learningRates = finds ? await findLearningRate(run, { seed, signal, report }) : null;
  const totalTokens = Math.round((facts.training.tokens * totalSteps) / run.stepsPerEpoch);
  const parts = {
    preparation: Object.values(facts.seconds).reduce((sum, part) => sum + part, 0),
    training: (totalTokens * step) / tokens,
    evaluation: evaluationPerToken * evaluatedTokens(run),
    answers: (answered?.seconds ?? 0) * (run.answers?.times ?? 0),
    checkpoints: checkpoint * checkpointsOf(run),
  };
  return {
    object: 'fine_tuning.job.dry_run',
    hyperparameters,
    tuning,
    total_steps: totalSteps,
    total_tokens: totalTokens,
    trained_parameters: facts.trainableParameters,
    total_parameters: facts.totalParameters,
    batch: {
      examples: examples.length,
      tokens,
      longest_tokens: examples[0]?.inputIds.length ?? 0,
      passes: passes.learned.map(({ rows, length }) => ({ rows, length })),
    },
    tokens_per_second: tokens / step,
    seconds: { first_step: firstStep, step, checkpoint, ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) },
    memory,
    delivered_bytes: deliveredBytes,
    checkpoint_bytes: checkpointBytes,
    ...(learningRates !== null && { learning_rates: learningRates }),
  };
}

function memoryOf({ model, hyperparameters, tuning }: Run, { modelDir, passes }: { modelDir: string; passes: readonly Batch[] }): DryRun['memory'] {
  const { peak } = processMemory();
  if (backend.isUsingGpuDevice) return { peak_bytes: peak, device_peak_bytes: null, estimate: null, estimate_error: null };
  const estimate = estimateMemory({
    config: model.config,
    tuning,
    precision: productsIn(hyperparameters.precision),
    storedInBf16: hyperparameters.precision === 'bf16' || storedDtypeOf(modelDir) === 'BF16',
    optim: hyperparameters.optim,
    gradientsPass: hyperparameters.optimizer_in_bwd === true && passes.length === 1,
    quantization: hyperparameters.quantization,
    gradientCheckpointing: hyperparameters.gradient_checkpointing,
    keepsBest: hyperparameters.load_best_model_at_end === true,
    pass: {
      tokens: Math.max(...passes.map(({ rows, length }) => rows * length)),
      supervisedTokens: Math.max(...passes.map(supervisedTokens)),
    },
  });
  return { peak_bytes: peak, device_peak_bytes: null, estimate, estimate_error: estimate.total_bytes / peak - 1 };
}

/** Evaluates one batch of the validation file twice, because the first evaluation also prepares the graph. @returns 0 without a validation file */
async function evaluationSecondsPerToken({ model, validation, hyperparameters }: Run, onBatch?: () => void | Promise<void>): Promise<number> {
  if (validation === null) return 0;
  const examples = validationBatch(validation.examples, 0, hyperparameters.batch_size);
  await evaluate(model, inMemory(examples), onBatch);
  const startedMs = performance.now();
  await evaluate(model, inMemory(examples), onBatch);
  return secondsSince(startedMs) / tokensIn(examples);
}

/** @returns how many tokens the run's evaluations have: on a batch every `eval_steps`, on the whole file at each checkpoint */
function evaluatedTokens(run: Run): number {
  const { validation, hyperparameters, totalSteps, bestModel } = run;
  if (validation === null) return 0;
  const { tokens, examples } = validation.facts;
  const batches = Math.floor(totalSteps / hyperparameters.eval_steps);
  if (bestModel !== null) return (batches + checkpointsOf(run)) * tokens;
  const ofBatch = (tokens / examples) * Math.min(hyperparameters.batch_size, examples);
  return batches * ofBatch + checkpointsOf(run) * tokens;
}

/** At the end of each epoch, and every `save_steps`; those that fall together count twice. */
const checkpointsOf = ({ hyperparameters: { n_epochs: epochs, save_steps: saveSteps }, totalSteps }: Run): number =>
  epochs + (saveSteps === 0 ? 0 : Math.floor(totalSteps / saveSteps));

const secondsSince = (startedMs: number): number => (performance.now() - startedMs) / 1000;

async function bytesIn(dir: string): Promise<number> {
  const files = await readdir(dir, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
