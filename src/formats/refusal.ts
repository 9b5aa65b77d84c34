/**
 * What Graft does not accept: a request, a line of a dataset, a file of a model, a setting of a run. The service, the workers and the engine all throw
 * this one class. It knows no HTTP: `src/http/statuses.ts` says which status a code has there.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** The request's field at fault, e.g. `training_file` or `tuning.r`; null when it is none. */
  readonly param: string | null;
  /** What to do about it; shown after the message. */
  readonly hint: string | null;

  /**
   * @param code    stable and machine-readable, e.g. `invalid_training_file`
   * @param message what is wrong and where: names the line, the field or the file. Without a full stop at its end
   */
  constructor(
    readonly code: string,
    message: string,
    { param = null, hint = null }: { param?: string | null; hint?: string | null } = {},
  ) {
    super(message);
    this.param = param;
    this.hint = hint;
  }

  /** What a user reads: the message, then what to do. */
  get text(): string {
    return this.hint === null ? this.message : `${this.message}. ${this.hint}`;
  }
}
