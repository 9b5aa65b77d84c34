import { InputError } from '../../src/formats/input-error.ts';
import type { TrainingError } from './messages.ts';

/** How TensorFlow (host and GPU allocator), V8 and the operating system say it. */
const OUT_OF_MEMORY = /OOM when allocating|ResourceExhausted|RESOURCE_EXHAUSTED|out of memory|Array buffer allocation failed|ENOMEM/i;

/** What a run threw, as the job's error: what was given wrong, too little memory, or our own fault. */
export function asTrainingError(error: unknown): TrainingError {
  if (error instanceof InputError) return { code: error.code, message: error.text, param: error.details.param ?? null };
  const message = error instanceof Error ? error.message : String(error);
  if (OUT_OF_MEMORY.test(message)) {
    return {
      code: 'out_of_memory',
      message: `The device ran out of memory. Lower hyperparameters.batch_size or hyperparameters.max_length (${firstLine(message)})`,
      param: 'hyperparameters.batch_size',
    };
  }
  return { code: 'internal_error', message: `The training failed: ${firstLine(message)}. The worker's log has the details`, param: null };
}

const firstLine = (text: string) => text.split('\n', 1)[0]!.slice(0, 500);
