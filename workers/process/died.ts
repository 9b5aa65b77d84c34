/** A training process ended before it had answered. */
export class TrainingProcessDied extends Error {
  override readonly name: string = 'TrainingProcessDied';
  /** Of the job's error, if it keeps happening. */
  readonly code: string = 'training_process_died';
  readonly hint: string = 'Lower hyperparameters.batch_size or hyperparameters.max_length, or ask whoever runs the worker.';

  /** @param how `exit code 1`, `SIGKILL` */
  constructor(readonly how: string) {
    super(`the training process ended with ${how}`);
  }

  /** What happened, for the user: the beginning of a sentence. */
  get what(): string {
    const memory = this.how === 'SIGKILL' ? '; the machine may have run out of memory' : '';
    return `The training process died (${this.how}${memory})`;
  }
}

/** What Hugging Face's tokenizers print when Oniguruma gives up on a pattern, and then end the process. */
const PATTERN_GIVEN_UP = /Regex search error: retry-limit/;

/** What a panic in Rust prints; only the tokenizers are written in it. */
const TOKENIZER_PANICKED = /panicked at \S*tokenizers\//;

/** A pattern of the model's tokenizer.json tries too many ways to match. */
export class TokenizerPatternFailed extends TrainingProcessDied {
  override readonly name = 'TokenizerPatternFailed';
  override readonly code = 'corrupt_model_file';
  override readonly hint = "Use the tokenizer of the original model: a pattern of this one's pre_tokenizer or normalizer takes too long.";

  override get what(): string {
    return "A pattern in the model's tokenizer.json could not be matched with a text of the dataset, which ended the training process";
  }
}

/** The model's tokenizer.json is not what Hugging Face's tokenizers take for granted. */
export class TokenizerPanicked extends TrainingProcessDied {
  override readonly name = 'TokenizerPanicked';
  override readonly code = 'corrupt_model_file';
  override readonly hint = 'Use the tokenizer of the original model.';

  override get what(): string {
    return "Hugging Face's tokenizers could not work with the model's tokenizer.json, which ended the training process";
  }
}

/** What V8, the C++ library and TensorFlow print when an allocation, or a thread, is refused, and then end the process. */
const ALLOCATION_REFUSED = /heap out of memory|std::bad_alloc|Cannot allocate memory|pthread_create\(\) failed|OOM when allocating/;

export class OutOfMemory extends TrainingProcessDied {
  override readonly name = 'OutOfMemory';
  override readonly code = 'out_of_memory';
  override readonly hint = 'Lower hyperparameters.batch_size or hyperparameters.max_length, or have the worker allow more (TRAINING_MEMORY_LIMIT).';

  override get what(): string {
    return `The training process ran out of memory (${this.how})`;
  }
}

/** @param output the last lines it printed */
export function died(how: string, output: string): TrainingProcessDied {
  if (PATTERN_GIVEN_UP.test(output)) return new TokenizerPatternFailed(how);
  if (TOKENIZER_PANICKED.test(output)) return new TokenizerPanicked(how);
  return ALLOCATION_REFUSED.test(output) ? new OutOfMemory(how) : new TrainingProcessDied(how);
}
