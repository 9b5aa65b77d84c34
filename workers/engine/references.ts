/**
 * What a preference objective compares the model with: the log-probabilities of all answers under the model that training begins with. Where that model is
 * still there at every step, because only an adapter is trained and it changed nothing at first, each pass computes them with the adapter off. Otherwise
 * they are computed once, before the first step, and kept with each checkpoint.
 */
import type { Example } from './data/batch.ts';
import { microBatches } from './data/batches.ts';
import { type ExampleStore, inMemory } from './data/example-store.ts';
import { packingOf } from './data/packing.ts';
import { yieldToEventLoop } from './evaluate.ts';
import { REFERENCE_OF_TRAINING } from './io/checkpoint.ts';
import type { Run } from './prepare.ts';
import type { LearningModel, TensorValues } from './tuning/tuned-model.ts';

interface ReferenceOptions {
  /** Called after each example: a sign of progress. */
  onPass: (() => void | Promise<void>) | undefined;
  signal: AbortSignal | undefined;
}

/** Log-probabilities of a file's answers, by example. */
const SETS = ['training', 'validation'] as const;
const NAMES = { training: REFERENCE_OF_TRAINING, validation: 'reference.validation' } as const;

/** Computes the references that a run needs and does not have yet. @throws the signal's reason when it is aborted */
export async function computeReferences(run: Run, options: ReferenceOptions): Promise<void> {
  if (!run.model.outgrowsReference) return;
  for (const set of SETS) {
    const examples = run[set]?.examples;
    if (examples !== undefined) examples.reference ??= await referencesOf(run.model, examples, options);
  }
}

/** One example a pass, so that its numbers do not depend on which examples are beside it. */
async function referencesOf(model: LearningModel, examples: ExampleStore, { onPass, signal }: ReferenceOptions): Promise<Float32Array> {
  const perExample = referencesPerExample(model);
  const reference = new Float32Array(perExample * examples.length);
  for (let index = 0; index < examples.length; index++) {
    const example = examples.read(index);
    const compared = model.objective.prior === undefined ? [example] : [example, model.objective.prior.of(example)];
    const values = compared.flatMap((one) => [...passesOfOne(model, one)].flatMap((batch) => [...model.referenceOf(batch)!]));
    reference.set(values, perExample * index);
    await onPass?.();
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
  return reference;
}

const passesOfOne = (model: LearningModel, example: Example) => microBatches(inMemory([example]), packingOf(model));

const referencesPerExample = ({ objective }: Pick<LearningModel, 'objective'>): number => objective.referencesPerExample ?? 0;

/** @returns a run's references as tensors of its checkpoints, by name */
export function referenceTensors(run: Pick<Run, (typeof SETS)[number]>): Map<string, TensorValues> {
  const tensors = new Map<string, TensorValues>();
  for (const set of SETS) {
    const data = run[set]?.examples.reference;
    if (data) tensors.set(NAMES[set], { shape: [data.length], data });
  }
  return tensors;
}

/** Gives a run's examples the references that a checkpoint holds. @param read a tensor of the checkpoint */
export function restoreReferences(run: Pick<Run, 'model' | (typeof SETS)[number]>, read: (name: string, length: number) => Float32Array): void {
  for (const set of SETS) {
    const examples = run[set]?.examples;
    if (examples !== undefined) examples.reference = read(NAMES[set], referencesPerExample(run.model) * examples.length);
  }
}
