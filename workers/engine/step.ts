/** One optimizer step on some examples: passes that add their gradients, then the update. */
import type { Metrics } from '../../src/formats/metrics.ts';
import { Refusal } from '../../src/formats/refusal.ts';
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
}

/** The passes of a step. */
export const passesOf = (model: Pick<LearningModel, 'config' | 'tuning'>, examples: readonly Example[]): Batch[] => [
  ...microBatches(inMemory(examples), packingOf(model)),
];

/**
 * @returns the objective's metrics on the examples before the update, and the global norm of the gradient before clipping
 * @throws Refusal `training_diverged`
 */
export async function takeStep(
  model: LearningModel,
  passes: readonly Batch[],
  { step, seed, learningRate, maxNorm }: StepOptions,
): Promise<{ metrics: Metrics; gradNorm: number }> {
  const sums = await accumulate(model, passes, { seed, step });
  const metrics = model.objective.metrics(sums);
  const gradNorm = Number.isFinite(metrics.loss) ? model.update({ learningRate, maxNorm, weight: sums.weight }) : Number.NaN;
  if (!Number.isFinite(gradNorm)) throw diverged(step, { loss: metrics.loss, gradNorm });
  return { metrics, gradNorm };
}

/** Runs a step's passes. Sums over supervised tokens, so that neither padding nor the split into passes matters. */
async function accumulate(model: LearningModel, passes: readonly Batch[], { seed, step }: { seed: number; step: number }): Promise<Sums> {
  let sums = NO_SUMS;
  for (const [microBatch, batch] of passes.entries()) {
    sums = addSums(sums, model.accumulate(batch, { seed, step, microBatch }));
    await yieldToEventLoop();
  }
  return sums;
}

function diverged(step: number, { loss, gradNorm }: { loss: number; gradNorm: number }): Refusal {
  return new Refusal('training_diverged', `at step ${step} the loss is ${loss} and the gradient norm is ${gradNorm}`, {
    param: 'hyperparameters.learning_rate',
    hint: 'Lower the learning rate, or warm up longer.',
  });
}
