/** What a template raises: its own message (`raise_exception`), or what Python would raise, e.g. TypeError. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** The template is not valid Jinja. */
export class TemplateSyntaxError extends Error {
  override readonly name = 'TemplateSyntaxError';

  constructor(message: string, line: number) {
    super(`line ${line}: ${message}`);
  }
}
