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
