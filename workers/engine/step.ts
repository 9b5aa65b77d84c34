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

/** Runs a step's passes. Sums over supervised tokens, so that neither padding nor the split into passes matters. */
async function accumulate(model: LearningModel, { learned, prior }: Passes, { seed, step }: { seed: number; step: number }): Promise<Sums> {
  let before = NO_SUMS;
  for (const batch of prior) {
    before = addSums(before, model.evaluate(batch));
    await yieldToEventLoop();
  }
  const more = model.objective.prior?.totals(before);
  let sums = NO_SUMS;
  for (const [microBatch, batch] of learned.entries()) {
    const totals = { ...batch.totals, ...more };
    sums = addSums(sums, await model.accumulate({ ...batch, totals }, { seed, step, microBatch }));
    await yieldToEventLoop();
  }
  return sums;
}
