import { redacted } from './secrets.ts';
import { cut } from './shown.ts';

/** Longest message and longest hint, characters: ten problems of a dataset fit. They end up in rows, events and logs. */
const MAX_MESSAGE = 4_000;

/**
 * Thrown for input that Graft does not accept: a request, a line of a dataset, a file of a model, a setting of a run. The service, the workers and
 * the engine all use this one class. It knows nothing of HTTP: `src/http/statuses.ts` maps codes to statuses. Its texts are cut and show no secrets.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** The request's field at fault, e.g. `training_file` or `tuning.r`; null if no single field is. */
  readonly param: string | null;
  /** What to do about it; shown after the message. */
  readonly hint: string | null;

  /**
   * @param code    stable and machine-readable, e.g. `invalid_training_file`
   * @param message what is wrong and where: names the line, the field or the file. Without a final full stop
   */
  constructor(
    readonly code: string,
    message: string,
    { param = null, hint = null }: { param?: string | null; hint?: string | null } = {},
  ) {
    super(cut(redacted(message), MAX_MESSAGE));
    this.param = param === null ? null : cut(param);
    this.hint = hint === null ? null : cut(redacted(hint), MAX_MESSAGE);
  }

  /** What a user reads: the message, then what to do. */
  get text(): string {
    return this.hint === null ? this.message : `${this.message}. ${this.hint}`;
  }
}
