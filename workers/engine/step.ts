/** One optimizer step on some examples: passes that add their gradients, then the update. */
import type { Metrics } from '../../src/formats/metrics.ts';
import type { Batch, Example } from './data/batch.ts';
import { microBatches } from './data/batches.ts';
import { inMemory } from './data/example-store.ts';
import { packingOf } from './data/packing.ts';
import { yieldToEventLoop } from './evaluate.ts';
import { addSums, NO_SUMS, type Sums } from './objectives/objective.ts';
import type { LearningModel } from './tuning/tuned-model.ts';

interface StepOptions {
  /** From 1. */
  step: number;
  seed: number;
  learningRate: number;
  maxNorm: number;
  /** @returns what is wrong with the loss; null if nothing is */
  problemOf(loss: number): string | null;
}

interface Taken {
  /** The objective's metrics on the examples, before the update. */
  metrics: Metrics & { readonly loss: number };
  /** The global norm of the gradient before clipping; NaN if the loss was the problem. */
  gradNorm: number;
  /** Why the step was not taken, which then has changed nothing; null if it was. */
  problem: string | null;
  /** Whether it has changed something nevertheless: the model is then of no use. */
  isTorn?: boolean;
}

/** The passes of a step. */
interface Passes {
  /** Those that it learns from. */
  learned: Batch[];
  /** Those that are computed before, for the objective's `prior`. */
  prior: Batch[];
}

export function passesOf(model: Pick<LearningModel, 'config' | 'tuning' | 'objective'>, examples: readonly Example[]): Passes {
  const { totals: totalsOf, prior } = model.objective;
  const packed = (of: readonly Example[]): Batch[] => [...microBatches(inMemory(of), packingOf(model))];
  const totals = totalsOf?.(examples);
  return {
    learned: packed(examples).map((batch) => (totals === undefined ? batch : { ...batch, totals })),
    prior: prior === undefined ? [] : packed(examples.map((example) => prior.of(example))),
  };
}

export async function takeStep(model: LearningModel, passes: Passes, { step, seed, learningRate, maxNorm, problemOf }: StepOptions): Promise<Taken> {
  if (model.takeWhole != null && passes.learned.length === 1)
    return takeWhole(model, model.takeWhole, passes, { step, seed, learningRate, problemOf });
  const sums = await accumulate(model, passes, { seed, step });
  const metrics = model.objective.metrics(sums);
  const problem = problemOf(metrics.loss);
  if (problem !== null) {
    model.discard();
    return { metrics, gradNorm: Number.NaN, problem };
  }
  const gradNorm = model.update({ learningRate, maxNorm, weight: sums.weight });
  return { metrics, gradNorm, problem: Number.isFinite(gradNorm) ? null : `the norm of its gradient is ${gradNorm}` };
}

/** A step of one pass that updates parameters as their gradients arise. A loss that is not finite changes nothing, as in other steps. */
async function takeWhole(
  model: LearningModel,
  take: NonNullable<LearningModel['takeWhole']>,
  passes: Passes,
  { step, seed, learningRate, problemOf }: Omit<StepOptions, 'maxNorm'>,
): Promise<Taken> {
  const more = await priorTotals(model, passes);
  const [batch] = passes.learned as [Batch];
  const { sums, norm, isTorn } = take({ ...batch, totals: { ...batch.totals, ...more } }, { seed, step, microBatch: 0 }, learningRate);
  const metrics = model.objective.metrics(sums);
  if (isTorn) return { metrics, gradNorm: norm, problem: 'a gradient is not finite, and parameters had been updated before it arose', isTorn };
  return { metrics, gradNorm: norm, problem: problemOf(metrics.loss) ?? (Number.isFinite(norm) ? null : `the norm of its gradient is ${norm}`) };
}

/** @returns the totals of the passes that are computed before */
async function priorTotals(model: LearningModel, { prior }: Passes): Promise<Batch['totals']> {
  let before = NO_SUMS;
  for (const batch of prior) {
    before = addSums(before, model.evaluate(batch));
    await yieldToEventLoop();
  }
  return model.objective.prior?.totals(before);
}

/** Runs a step's passes. Sums over supervised tokens, so that neither padding nor the split into passes matters. */
async function accumulate(model: LearningModel, passes: Passes, { seed, step }: { seed: number; step: number }): Promise<Sums> {
  const more = await priorTotals(model, passes);
  let sums = NO_SUMS;
  for (const [microBatch, batch] of passes.learned.entries()) {
    const totals = { ...batch.totals, ...more };
    sums = addSums(sums, await model.accumulate({ ...batch, totals }, { seed, step, microBatch }));
    await yieldToEventLoop();
  }
  return sums;
}
