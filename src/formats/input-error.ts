/**
 * Something the user gave us is wrong: a field, a line of a dataset, a file of a model.
 * Thrown by the formats and by the engine, which know no HTTP; the service turns it into the contract's error object.
 */
export class InputError extends Error {
  override readonly name = 'InputError';

  /**
   * @param code    stable and machine-readable, e.g. `invalid_training_file`
   * @param message what is wrong and where: names the line, the field or the file
   */
  constructor(
    readonly code: string,
    message: string,
    readonly details: {
      /** The request field at fault, e.g. `training_file` or `tuning.r`. */
      param?: string;
      /** What to do about it; shown after the message. */
      hint?: string;
    } = {},
  ) {
    super(message);
  }

  /** The whole sentence a user reads: the message, then what to do. */
  get text(): string {
    return this.details.hint === undefined ? this.message : `${this.message}. ${this.details.hint}`;
  }
}
