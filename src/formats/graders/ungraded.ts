/** A sample that cannot be graded, which is not the fault of the request. */
export class Ungraded extends Error {
  override readonly name = 'Ungraded';
  /**
   * @param flag    the one of OpenAI's errors that it is
   * @param message what went wrong, in words
   * @param scores  what the graders of a `multi` grader gave all the same
   */
  constructor(
    readonly flag: 'invalid_variable_error' | 'sample_parse_error' | 'other_error',
    message: string,
    readonly scores: Record<string, number> = {},
  ) {
    super(message);
  }
}
