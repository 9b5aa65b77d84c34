/** What a template raises: its own message (`raise_exception`), or what Python would raise, e.g. TypeError. */
export class TemplateError extends Error {
  override readonly name: string = 'TemplateError';
}

/** The template takes too long: it does not end, or its work grows too fast. No other conversation is tried after that. */
export class TemplateTooSlow extends TemplateError {
  override readonly name = 'TemplateTooSlow';
}

/** The template is not valid Jinja. */
export class TemplateSyntaxError extends Error {
  override readonly name = 'TemplateSyntaxError';

  constructor(message: string, line: number) {
    super(`line ${line}: ${message}`);
  }
}
