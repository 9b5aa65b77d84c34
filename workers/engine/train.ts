/** The training loop, from top to bottom. */
import { warmupSteps } from '../../src/formats/hyperparameters.ts';
import { type Metrics, measuredOn } from '../../src/formats/metrics.ts';
import { answerMetrics } from './answers/answers.ts';
import type { TrainOptions, TrainResult } from './contract.ts';
import { supervisedTokens, tokensIn } from './data/batch.ts';
import { stepExamples } from './data/batches.ts';
import { inMemory } from './data/example-store.ts';
import { evaluate, validationBatch, yieldToEventLoop } from './evaluate.ts';
import { processMemory } from './machine/process-memory.ts';
import { learningRate, type Schedule } from './optim/schedule.ts';
import { prepare, type Run } from './prepare.ts';
import { saveCheckpoint } from './save-checkpoint.ts';
import { passesOf, takeStep } from './step.ts';

/**
 * A run that is killed does at most this much again, however long its epochs are; more often, writing would be felt: the state of a fully tuned model takes
 * a minute.
 */
const CHECKPOINT_EVERY_MS = 10 * 60_000;

/**
 * Trains and writes the adapter (or the model) to `outputDir`.
 * @throws Refusal for invalid input, or `training_diverged`; the signal's reason when it is aborted
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  options.signal?.throwIfAborted();
  const run = await prepare(options);
  try {
    return await trainPrepared(run, options);
  } finally {
    run.dispose();
  }
}

/** Trains a prepared run. The caller keeps the run, whose model is then the trained one, and disposes of it. */
export async function trainPrepared(
  run: Run,
  { seed, checkpointsDir, checkpointEveryMs = CHECKPOINT_EVERY_MS, outputDir, signal, report }: TrainOptions,
): Promise<TrainResult> {
  const { model, training, validation, hyperparameters, stepsPerEpoch, totalSteps, resumed, answers } = run;
  const { batch_size: batchSize, max_grad_norm: maxNorm, eval_steps: evalSteps, save_steps: saveSteps } = hyperparameters;
  const { startStep } = run.facts;
  const schedule = scheduleOf(run);
  const examplesOf = stepExamples(training.examples, { batchSize, seed });
  const startedMs = performance.now();
  let trainedTokens = resumed?.trainedTokens ?? 0;
  let last = resumed?.last;
  let savedMs = startedMs;
  await report?.prepared?.(run.facts);
  signal?.throwIfAborted();
  if (startStep === 0 && answers !== null) await report?.answered?.(await answers.take(0, { onPass: report?.evaluating, signal }));

  // The step whose answers a stop cut short is not taken again.
  for (let step = resumed?.unanswered ? startStep : startStep + 1; step <= totalSteps; step++) {
    const isLast = step === totalSteps;
    const saves = isLast || step % stepsPerEpoch === 0 || (saveSteps > 0 && step % saveSteps === 0);
    const measured = last !== undefined && last.step === step ? last.metrics : await takeAndEvaluate(step, saves);

    // Answer.
    const asked = answers?.isDue(step) === true;
    const answered = asked ? await answers.take(step, { onPass: report?.evaluating, signal }).catch(nullIfStopped) : null;
    const unanswered = asked && answered === null;

    // Report.
    last = { step, totalSteps, metrics: { ...measured, ...(answered && answerMetrics(answered)) } };
    if (answered !== null) await report?.answered?.(answered);
    if (!unanswered) await report?.step?.(last);

    // Checkpoint. An abort after this yield takes effect at the end of the next step.
    await yieldToEventLoop();
    const stops = unanswered || (signal?.aborted === true && !isLast);
    // By time, nothing is measured, so the run's numbers do not depend on how fast the machine is.
    const isDue = performance.now() - savedMs >= checkpointEveryMs;
    if ((saves || stops || isDue) && checkpointsDir !== undefined) {
      const dir = await saveCheckpoint(run, checkpointsDir, { seed, step, trainedTokens, last, unanswered, writing: report?.writing });
      await report?.checkpoint?.({ step, dir, last, final: isLast && !unanswered });
      savedMs = performance.now();
    }
    if (stops) throw signal?.reason;
  }
  if (last === undefined) throw new Error('a run has at least one step');
  await report?.writing?.();
  const files = run.deliver(outputDir);
  return { outputDir, files, steps: totalSteps, trainedTokens, last, seconds: (performance.now() - startedMs) / 1000 };

  /** @returns the step's metrics */
  async function takeAndEvaluate(step: number, saves: boolean): Promise<Metrics> {
    const stepStartedMs = performance.now();

    // Batch.
    const examples = examplesOf(step - 1);
    const tokens = tokensIn(examples);

    // Step.
    const rate = learningRate(step - 1, schedule);
    const { metrics, gradNorm } = await takeStep(model, passesOf(model, examples), { step, seed, learningRate: rate, maxNorm });
    trainedTokens += tokens;
    const seconds = (performance.now() - stepStartedMs) / 1000;
    const memory = processMemory();

    // Evaluate.
    const evaluates = validation !== null && step % evalSteps === 0;
    const valid = evaluates
      ? await evaluate(model, inMemory(validationBatch(validation.examples, step / evalSteps - 1, batchSize)), report?.evaluating)
      : {};
    const fullValid = validation !== null && saves ? await evaluate(model, validation.examples, report?.evaluating) : {};
    return {
      epoch: step / stepsPerEpoch,
      ...measuredOn('train', metrics),
      ...measuredOn('valid', valid),
      ...measuredOn('full_valid', fullValid),
      learning_rate: rate,
      grad_norm: gradNorm,
      tokens,
      supervised_tokens: examples.reduce((sum, example) => sum + supervisedTokens(example), 0),
      seconds,
      memory_bytes: memory.now,
      peak_memory_bytes: memory.peak,
    };
  }

  /** The answers that a stop cut short are given when the run resumes. */
  function nullIfStopped(error: unknown): null {
    if (signal?.aborted === true && error === signal.reason) return null;
    throw error;
  }
}

export function scheduleOf({ hyperparameters, totalSteps }: Run): Schedule {
  const { lr_scheduler_type: type, learning_rate: peak } = hyperparameters;
  return { type, peak, warmupSteps: warmupSteps(hyperparameters, totalSteps), totalSteps };
}
