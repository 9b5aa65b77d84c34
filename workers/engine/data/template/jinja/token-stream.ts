import { TemplateSyntaxError } from './error.ts';
import type { Token } from './lexer.ts';

/** The tokens of a template, with the questions that a parser asks. */
export class TokenStream {
  #position = 0;
  constructor(private readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.#position]!;
  }
  get following(): Token {
    return this.tokens[this.#position + 1] ?? this.current;
  }
  next(): Token {
    const token = this.current;
    if (token.type !== 'end') this.#position += 1;
    return token;
  }
  isOperator(value: string): boolean {
    return this.current.type === 'operator' && this.current.value === value;
  }
  isName(...values: string[]): boolean {
    return this.current.type === 'name' && values.includes(this.current.value);
  }
  skipOperator(value: string): boolean {
    const found = this.isOperator(value);
    if (found) this.next();
    return found;
  }
  skipName(value: string): boolean {
    const found = this.isName(value);
    if (found) this.next();
    return found;
  }
  expectOperator(value: string): Token {
    return this.isOperator(value) ? this.next() : this.fail(`expected ${value}, got ${this.described}`);
  }
  expectName(value: string): Token {
    return this.isName(value) ? this.next() : this.fail(`expected ${value}, got ${this.described}`);
  }
  expect(type: Token['type']): Token {
    return this.current.type === type ? this.next() : this.fail(`expected ${type}, got ${this.described}`);
  }
  get described(): string {
    const { type, value } = this.current;
    return value === '' ? `the ${type} of the template`.replace(/the (block|print) (begin|end) of the template/, 'the $2 of the $1') : value;
  }
  /** @throws TemplateSyntaxError at the current token */
  fail(problem: string): never {
    throw new TemplateSyntaxError(problem, this.current.line);
  }
}
