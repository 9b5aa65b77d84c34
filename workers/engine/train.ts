/** The training loop, from top to bottom. */

import { isOnValidation } from '../../src/formats/best-model.ts';
import { warmupSteps } from '../../src/formats/hyperparameters.ts';
import { type Metrics, measuredOn } from '../../src/formats/metrics.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { answerMetrics } from './answers/answers.ts';
import { PausedAtStep, type RunNotice, type StepReport, type TrainOptions, type TrainResult } from './contract.ts';
import { supervisedTokens, tokensIn } from './data/batch.ts';
import { stepIndices } from './data/batches.ts';
import { inMemory } from './data/example-store.ts';
import { evaluate, validationBatch, yieldToEventLoop } from './evaluate.ts';
import { processMemory } from './machine/process-memory.ts';
import { learningRate, type Schedule } from './optim/schedule.ts';
import { prepare, type Run } from './prepare.ts';
import { computeReferences } from './references.ts';
import { saveCheckpoint } from './save-checkpoint.ts';
import { passesOf, takeStep } from './step.ts';

/**
 * A run that is killed does at most this much again, however long its epochs are; more often, writing would be felt: the state of a fully tuned model takes
 * a minute.
 */
const CHECKPOINT_EVERY_MS = 10 * 60_000;

/**
 * Trains and writes the adapter (or the model) to `outputDir`.
 * @throws Refusal for invalid input, or `training_diverged` where more steps than may be left out could not be taken; the signal's reason when it is aborted
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
  { seed, checkpointsDir, checkpointEveryMs = CHECKPOINT_EVERY_MS, outputDir, pauseAtStep, signal, report }: TrainOptions,
): Promise<TrainResult> {
  const { model, training, validation, hyperparameters, stepsPerEpoch, totalSteps, resumed, answers, bestModel, badSteps } = run;
  const { batch_size: batchSize, max_grad_norm: maxNorm, eval_steps: evalSteps, save_steps: saveSteps } = hyperparameters;
  if (hyperparameters.learning_rate_finder)
    throw new Refusal('invalid_value', 'learning_rate_finder suggests a learning rate and trains nothing', {
      param: 'hyperparameters.learning_rate_finder',
      hint: 'Use a dry run, or leave it out.',
    });
  const { startStep } = run.facts;
  const schedule = scheduleOf(run);
  const indicesOf = stepIndices(training.examples, { batchSize, seed, sameEachEpoch: model.objective.prior !== undefined });
  const measuresBest = bestModel !== null && isOnValidation(bestModel.watched);
  const startedMs = performance.now();
  let trainedTokens = resumed?.trainedTokens ?? 0;
  let last = resumed?.last;
  let savedMs = startedMs;
  let savedStep = startStep;
  let holdsGradients = false;
  await report?.prepared?.(run.facts);
  signal?.throwIfAborted();
  await computeReferences(run, { onPass: report?.evaluating, signal });
  if (startStep === 0 && answers !== null) await report?.answered?.(await answers.take(0, { onPass: report?.evaluating, signal }));

  // The step whose answers a stop cut short is not taken again.
  for (let step = resumed?.unanswered ? startStep : startStep + 1; step <= totalSteps && !hasStopped(); step++) {
    const pauses = step === pauseAtStep;
    const saves = step === totalSteps || pauses || step % stepsPerEpoch === 0 || (saveSteps > 0 && step % saveSteps === 0);
    const taken: Pick<StepReport, 'metrics' | 'notices'> = last?.step === step ? last : await takeAndEvaluate(step, saves);

    // Answer.
    const asked = answers?.isDue(step) === true;
    const answered = asked ? await answers.take(step, { onPass: report?.evaluating, signal }).catch(nullIfStopped) : null;
    const unanswered = asked && answered === null;

    // Compare with the best.
    last = { ...taken, step, totalSteps, metrics: { ...taken.metrics, ...(answered && answerMetrics(answered)) } };
    const isBest = !unanswered && bestModel?.observe(last) === true;
    const stopsEarly = hasStopped() && step < totalSteps;
    if (stopsEarly) last = { ...last, notices: [...(last.notices ?? []), bestModel!.stopNotice(last)] };
    const isLast = step === totalSteps || stopsEarly;

    // Report.
    if (answered !== null) await report?.answered?.(answered);
    if (!unanswered) await report?.step?.(last);

    // Checkpoint. An abort after this yield takes effect at the end of the next step.
    await yieldToEventLoop();
    const stops = unanswered || ((pauses || signal?.aborted === true) && !isLast);
    // By time, nothing is measured, so the run's numbers do not depend on how fast the machine is.
    const isDue = performance.now() - savedMs >= checkpointEveryMs;
    const keepsBest = isBest && bestModel?.loads === true;
    if (saves || stops || isDue || stopsEarly || keepsBest) await save({ step, last, unanswered, final: isLast && !unanswered });
    if (stops) throw signal?.aborted ? signal.reason : new PausedAtStep(step);
  }
  if (last === undefined) throw new Error('a run has at least one step');
  const delivered = bestModel?.load(last) ?? last;
  await report?.writing?.();
  const files = run.deliver(outputDir);
  return { outputDir, files, steps: last.step, trainedTokens, last, delivered, seconds: (performance.now() - startedMs) / 1000 };

  function hasStopped(): boolean {
    return bestModel?.hasStopped === true;
  }

  async function save({ step, last, unanswered, final }: { step: number; last: StepReport; unanswered: boolean; final: boolean }): Promise<void> {
    if (checkpointsDir === undefined) return;
    const dir = await saveCheckpoint(run, checkpointsDir, { seed, step, trainedTokens, last, unanswered, writing: report?.writing });
    await report?.checkpoint?.({ step, dir, last, final });
    savedMs = performance.now();
    savedStep = step;
  }

  async function takeAndEvaluate(step: number, saves: boolean): Promise<Pick<StepReport, 'metrics' | 'notices'>> {
    const stepStartedMs = performance.now();

    // Batch.
    const indices = indicesOf(step - 1);
    const examples = Array.from(indices, (index) => training.examples.read(index));
    const tokens = tokensIn(examples);

    // Step.
    const rate = learningRate(step - 1, schedule);
    const problemOf = (loss: number): string | null => badSteps.problemOf(loss);
    const passes = passesOf(model, examples);
    const { metrics, gradNorm, problem, isTorn = false } = await takeStep(model, passes, { step, seed, learningRate: rate, maxNorm, problemOf });
    if (problem === null) badSteps.taken(metrics.loss);
    const notices = problem === null ? [] : [await leaveOut(step, { problem, indices, isTorn })];
    if (model.takeWhole != null && passes.learned.length > 1 && !holdsGradients) notices.push(heldNotice(step, passes.learned.length));
    holdsGradients ||= passes.learned.length > 1;
    if (problem === null) trainedTokens += tokens;
    const seconds = (performance.now() - stepStartedMs) / 1000;
    const memory = processMemory();

    // Evaluate.
    const evaluates = validation !== null && step % evalSteps === 0;
    const evaluatesAll = saves || (evaluates && measuresBest);
    const valid = evaluates
      ? await evaluate(model, inMemory(validationBatch(validation.examples, step / evalSteps - 1, batchSize)), report?.evaluating)
      : {};
    const fullValid = validation !== null && evaluatesAll ? await evaluate(model, validation.examples, report?.evaluating) : {};
    const reported = {
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
    return problem === null ? { metrics: reported } : { metrics: { ...onlyFinite(reported), skipped: 1 }, notices };
  }

  /** @returns what the user should know of a step that was left out. @throws Refusal if it is one too many, after the state before it was kept */
  async function leaveOut(
    step: number,
    { problem, indices, isTorn }: { problem: string; indices: Uint32Array; isTorn: boolean },
  ): Promise<RunNotice> {
    const bad = { step, problem, lines: Array.from(indices, (index) => training.examples.lineOf(index)) };
    if (isTorn) throw badSteps.refusal(bad, savedStep > 0 ? savedStep : null);
    if (badSteps.maySkip && !(step === totalSteps && model.steps === 0)) return badSteps.skip(bad);
    const isKept = checkpointsDir !== undefined && last !== undefined;
    if (isKept && savedStep !== last!.step) await save({ step: last!.step, last: last!, unanswered: false, final: false });
    throw badSteps.refusal(bad, isKept ? last!.step : null);
  }

  /** The answers that a stop cut short are given when the run resumes. */
  function nullIfStopped(error: unknown): null {
    if (signal?.aborted === true && error === signal.reason) return null;
    throw error;
  }
}

const heldNotice = (step: number, passes: number): RunNotice => ({
  level: 'warn',
  message: `Step ${step} has ${passes} passes, so its gradients are held until the last of them: optimizer_in_bwd saves their memory only where a step is one pass`,
  data: { step, passes },
});

const onlyFinite = (metrics: Metrics): Metrics => Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

export function scheduleOf({ hyperparameters, totalSteps }: Run): Schedule {
  const { lr_scheduler_type: type, lr_scheduler_kwargs: kwargs = {}, learning_rate: peak } = hyperparameters;
  return { type, kwargs, peak, warmupSteps: warmupSteps(hyperparameters, totalSteps), totalSteps };
}
