/** Restores an earlier run's state, and compares what the model then predicts with what it predicted when the state was written. */
import { isDeepStrictEqual } from 'node:util';
import type { Precision } from '../../src/formats/hyperparameters.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { ResumedState } from './contract.ts';
import { type ExampleStore, firstExamples, inMemory } from './data/example-store.ts';
import { evaluate } from './evaluate.ts';
import { readBestValues, readTensor, restoreTensors, type TrainerState } from './io/checkpoint.ts';
import type { Run } from './prepare.ts';
import { restoreReferences } from './references.ts';
import type { LearningModel, TunedModel } from './tuning/tuned-model.ts';

/** The training file's first examples: about one pass, so that a checkpoint costs less than another step. */
const SAMPLE_EXAMPLES = 4;
const SAMPLE_TOKENS = 2_048;

/**
 * How far the loss of the restored model may be from the recorded one, in nats per supervised token. On the machine that wrote the state they are equal
 * to the bit; another one sums in another order.
 */
const LOSS_TOLERANCE: Readonly<Record<Precision, number>> = { f32: 1e-3, bf16: 2e-2 };

/** Resuming with other data or options would reproduce neither run. @throws Refusal `checkpoint_mismatch` */
export function checkSameRun(
  saved: TrainerState,
  now: Pick<TrainerState, 'seed' | 'tuning' | 'hyperparameters' | 'trainingSha256' | 'chatTemplate'>,
): void {
  const differs = (Object.keys(now) as (keyof typeof now)[]).filter((key) => !isDeepStrictEqual(saved[key] ?? null, now[key]));
  if (differs.length === 0) return;
  throw new Refusal('checkpoint_mismatch', `the checkpoint was written with a different ${differs.join(', ')}`, {
    hint: 'Resume with the options and the file of the first run, or start a new run.',
  });
}

/** @returns the model's loss on a few training examples, in nats per supervised token, without dropout */
export async function sampleLoss(model: TunedModel, training: ExampleStore): Promise<number> {
  let tokens = 0;
  const examples = firstExamples(training, SAMPLE_EXAMPLES).filter(({ inputIds }, index) => {
    tokens += inputIds.length;
    return index === 0 || tokens <= SAMPLE_TOKENS;
  });
  return (await evaluate(model, inMemory(examples))).loss;
}

interface Restored extends Pick<Run, 'training' | 'validation'> {
  model: LearningModel;
  state: TrainerState;
}

/**
 * Sets the model and its optimizer to the state of a checkpoint.
 * @throws Refusal `corrupt_checkpoint` for tensors that cannot be read, or with which the model predicts something else than it did
 */
export async function restore(dir: string, { model, state, training, validation }: Restored): Promise<ResumedState> {
  restoreTensors(dir, { model, steps: state.updates ?? state.step, optim: state.hyperparameters.optim });
  if (model.outgrowsReference) restoreReferences({ model, training, validation }, (name, length) => readTensor(dir, name, [length]));
  const recorded = state.sampleLoss ?? null;
  if (recorded === null) return { step: state.step, loss: null };
  const reloaded = await sampleLoss(model, training.examples);
  const tolerance = LOSS_TOLERANCE[state.hyperparameters.precision];
  const difference = Math.abs(reloaded - recorded);
  if (!(difference <= tolerance))
    throw new Refusal(
      'corrupt_checkpoint',
      `with the checkpoint of step ${state.step} the loss on the first examples is ${reloaded}; it was ${recorded} when the checkpoint was written, and may differ by at most ${tolerance}`,
      { hint: 'Resume from another checkpoint, or start a new run.' },
    );
  return { step: state.step, loss: { recorded, reloaded, difference, tolerance } };
}

/** @returns what an earlier run knew of its best state; null for a fresh run, or one that did not look for it */
export function earlierBest(dir: string | undefined, { resumed, model }: { resumed: TrainerState | null; model: LearningModel }) {
  const state = resumed?.bestModel;
  if (dir === undefined || state === undefined) return null;
  const loads = resumed?.hyperparameters.load_best_model_at_end === true && state.best !== null;
  return { state, values: loads ? readBestValues(dir, model, state.best?.report.step === resumed?.step) : null };
}
