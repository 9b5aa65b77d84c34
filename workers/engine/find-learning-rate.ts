/** Takes steps at growing learning rates on a run's own examples, to see at which its loss falls. */
import { FINDER_STEPS, finderRate, type LearningRates, RateSearch } from '../../src/formats/learning-rate-finder.ts';
import type { TrainOptions } from './contract.ts';
import { stepExamples } from './data/batches.ts';
import type { Run } from './prepare.ts';
import { passesOf, takeStep } from './step.ts';
import type { LearningModel } from './tuning/tuned-model.ts';

interface FinderOptions extends Pick<TrainOptions, 'seed'> {
  signal: AbortSignal | undefined;
  report: TrainOptions['report'] | undefined;
}

/**
 * The model is then another one.
 * @throws the signal's reason when it is aborted
 */
export async function findLearningRate({ model, training, hyperparameters }: Run, { seed, signal, report }: FinderOptions): Promise<LearningRates> {
  const { batch_size: batchSize, max_grad_norm: maxNorm } = hyperparameters;
  const examplesOf = stepExamples(training.examples, { batchSize, seed, sameEachEpoch: model.objective.prior !== undefined });
  const search = new RateSearch();
  for (let step = 0; step < FINDER_STEPS; step++) {
    const passes = passesOf(model, examplesOf(step));
    const problemOf = (loss: number): string | null => (Number.isFinite(loss) ? null : `the loss is ${loss}`);
    const taken = await takeStep(model, passes, { step: step + 1, seed, learningRate: finderRate(step), maxNorm, problemOf });
    if (search.add(taken.metrics.loss) || taken.problem !== null) return search.result('diverged');
    await report?.evaluating?.(); // a sign of progress
    signal?.throwIfAborted();
  }
  return search.result('all_steps');
}

/** @returns a function that brings a model back to what it is now, with a new optimizer; until then, memory holds what is trained twice */
export function remembered(model: LearningModel): () => void {
  const values = new Map([...model.read()].map(([name, { data }]) => [name, Float32Array.from(data)]));
  return () => {
    const none = ({ length }: Float32Array) => ({ m: new Float32Array(length), v: new Float32Array(length) });
    model.restore(0, values, new Map([...values].map(([name, data]) => [name, none(data)])));
  };
}
