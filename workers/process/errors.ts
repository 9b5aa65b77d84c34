import { Refusal } from '../../src/formats/refusal.ts';
import type { TrainingError } from './messages.ts';

/** How TensorFlow (host and GPU allocator), V8 and the operating system say it. */
const OUT_OF_MEMORY = /OOM when allocating|ResourceExhausted|RESOURCE_EXHAUSTED|out of memory|Array buffer allocation failed|ENOMEM/i;

/** What a run threw, as the job's error: what was given wrong, too little memory, or our own fault. */
export function asTrainingError(error: unknown): TrainingError {
  const { code, message, param, hint } = error instanceof Refusal ? error : unexpected(error);
  return { code, message, param, hint };
}

function unexpected(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  const firstLine = message.split('\n', 1)[0]!.slice(0, 500);
  if (OUT_OF_MEMORY.test(message))
    return new Refusal('out_of_memory', `The device ran out of memory (${firstLine})`, {
      param: 'hyperparameters.batch_size',
      hint: 'Lower hyperparameters.batch_size or hyperparameters.max_length.',
    });
  return new Refusal('internal_error', `The training failed: ${firstLine}`, { hint: "The worker's log has the details." });
}
