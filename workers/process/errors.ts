import { Refusal } from '../../src/formats/refusal.ts';
import type { TrainingError } from './messages.ts';

/** In the messages of TensorFlow (host and GPU allocators), V8 and the operating system. */
const OUT_OF_MEMORY = /OOM when allocating|ResourceExhausted|RESOURCE_EXHAUSTED|out of memory|Array buffer allocation failed|ENOMEM/i;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const isOutOfMemory = (error: unknown): boolean => OUT_OF_MEMORY.test(messageOf(error));

/** Turns what a run threw into the job's error: a refusal, too little memory, or a bug of ours. */
export function asTrainingError(error: unknown): TrainingError {
  const { code, message, param, hint } = error instanceof Refusal ? error : unexpected(error);
  return { code, message, param, hint };
}

function unexpected(error: unknown): Refusal {
  if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | null)?.code ?? ''))
    return new Refusal('disk_full', "there is no room left for the run's files", { hint: "Free disk space in the worker's DATA_DIR." });
  const firstLine = messageOf(error).split('\n', 1)[0]!.slice(0, 500);
  if (isOutOfMemory(error))
    return new Refusal('out_of_memory', `The device ran out of memory (${firstLine})`, {
      param: 'hyperparameters.batch_size',
      hint: 'Lower hyperparameters.batch_size or hyperparameters.max_length.',
    });
  return new Refusal('internal_error', `Training failed: ${firstLine}`, { hint: "The worker's log has the details." });
}
