/** Parses operands by Jinja 3.1's grammar: literals, names, brackets, and what follows them: attributes, subscripts, calls, filters and tests. */
import type { Arguments, Expression, Filter, Slice } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';

export const CONSTANTS: Record<string, null | boolean> = { true: true, True: true, false: false, False: false, none: null, None: null };
const NO_ARGUMENTS: Arguments = { args: [], keywords: [], rest: null, restKeywords: null };

export abstract class OperandParser {
  constructor(protected readonly stream: TokenStream) {}

  abstract expression(): Expression;
  /** Expressions that commas may separate, inside parentheses. */
  protected abstract inParentheses(): Expression;

  protected unary(withFilters: boolean): Expression {
    let expression: Expression;
    if (this.stream.skipOperator('-')) expression = { kind: 'negative', operand: this.unary(false) };
    else if (this.stream.skipOperator('+')) expression = { kind: 'positive', operand: this.unary(false) };
    else expression = this.#primary();
    expression = this.#postfix(expression);
    return withFilters ? this.#filters(expression) : expression;
  }

  #primary(): Expression {
    const token = this.stream.current;
    switch (token.type) {
      case 'name':
        this.stream.next();
        return token.value in CONSTANTS ? { kind: 'constant', value: CONSTANTS[token.value]! } : { kind: 'name', name: token.value };
      case 'string': {
        let value = '';
        while (this.stream.current.type === 'string') value += this.stream.next().value;
        return { kind: 'constant', value };
      }
      case 'integer':
        this.stream.next();
        return { kind: 'constant', value: BigInt(token.value) };
      case 'float':
        this.stream.next();
        return { kind: 'constant', value: Number(token.value) };
    }
    if (this.stream.skipOperator('(')) {
      const inside = this.inParentheses();
      this.stream.expectOperator(')');
      return inside;
    }
    if (this.stream.skipOperator('[')) return { kind: 'list', items: this.#separated(']', () => this.expression()) };
    if (this.stream.skipOperator('{')) return { kind: 'dict', pairs: this.#separated('}', () => this.#pair()) };
    return this.stream.fail(`unexpected ${this.stream.described}`);
  }

  #pair(): [Expression, Expression] {
    const key = this.expression();
    this.stream.expectOperator(':');
    return [key, this.expression()];
  }

  /** Up to the closing bracket, with commas between them and perhaps one at the end. */
  #separated<T>(close: string, one: () => T): T[] {
    const items: T[] = [];
    while (!this.stream.isOperator(close)) {
      if (items.length > 0) this.stream.expectOperator(',');
      if (this.stream.isOperator(close)) break;
      items.push(one());
    }
    this.stream.expectOperator(close);
    return items;
  }

  #postfix(start: Expression): Expression {
    let expression = start;
    for (;;) {
      if (this.stream.skipOperator('.')) expression = this.#afterDot(expression);
      else if (this.stream.skipOperator('[')) expression = this.#subscript(expression);
      else if (this.stream.isOperator('(')) expression = { kind: 'call', callee: expression, ...this.callArguments() };
      else return expression;
    }
  }

  #afterDot(of: Expression): Expression {
    if (this.stream.current.type === 'integer') return { kind: 'item', of, key: { kind: 'constant', value: BigInt(this.stream.next().value) } };
    return { kind: 'attribute', of, name: this.stream.expect('name').value };
  }

  #subscript(of: Expression): Expression {
    const keys = this.#subscripts(of);
    if (keys.length === 1) return keys[0]!.kind === 'slice' ? keys[0]! : { kind: 'item', of, key: keys[0]! };
    if (keys.some(({ kind }) => kind === 'slice')) this.stream.fail('several slices in one subscript are not supported');
    return { kind: 'item', of, key: { kind: 'tuple', items: keys } };
  }

  #subscripts(of: Expression): Expression[] {
    const keys: Expression[] = [];
    while (!this.stream.isOperator(']')) {
      if (keys.length > 0) this.stream.expectOperator(',');
      keys.push(this.#sliceOrKey(of));
    }
    this.stream.expectOperator(']');
    return keys;
  }

  #sliceOrKey(of: Expression): Expression | Slice {
    const ends = () => this.stream.isOperator(']') || this.stream.isOperator(',');
    let start: Expression | null = null;
    if (!this.stream.isOperator(':')) {
      start = this.expression();
      if (!this.stream.isOperator(':')) return start;
    }
    this.stream.expectOperator(':');
    const stop = this.stream.isOperator(':') || ends() ? null : this.expression();
    const step = this.stream.skipOperator(':') && !ends() ? this.expression() : null;
    return { kind: 'slice', of, start, stop, step };
  }

  #filters(start: Expression): Expression {
    let expression = start;
    for (;;) {
      if (this.stream.skipOperator('|')) expression = this.filter(expression);
      else if (this.stream.skipName('is')) expression = this.#test(expression);
      else if (this.stream.isOperator('(')) expression = { kind: 'call', callee: expression, ...this.callArguments() };
      else return expression;
    }
  }

  #dottedName(): { name: string; line: number } {
    const { line } = this.stream.current;
    let name = this.stream.expect('name').value;
    while (this.stream.skipOperator('.')) name += `.${this.stream.expect('name').value}`;
    return { name, line };
  }

  /** The filter after a bar. */
  filter(operand: Expression | null): Filter {
    const named = this.#dottedName();
    return { kind: 'filter', operand, ...named, ...(this.stream.isOperator('(') ? this.callArguments() : NO_ARGUMENTS) };
  }

  #test(operand: Expression): Expression {
    const negated = this.stream.skipName('not');
    const named = this.#dottedName();
    const { stream } = this;
    let given: Arguments = NO_ARGUMENTS;
    if (stream.isOperator('(')) given = this.callArguments();
    else if (
      (['name', 'string', 'integer', 'float'].includes(stream.current.type) || stream.isOperator('[') || stream.isOperator('{')) &&
      !stream.isName('else', 'or', 'and')
    ) {
      if (stream.isName('is')) stream.fail('tests cannot be chained with is');
      given = { ...NO_ARGUMENTS, args: [this.#postfix(this.#primary())] };
    }
    const test: Expression = { kind: 'test', operand, ...named, ...given };
    return negated ? { kind: 'not', operand: test } : test;
  }

  callArguments(): Arguments {
    const { stream } = this;
    stream.expectOperator('(');
    const given: Arguments = { args: [], keywords: [], rest: null, restKeywords: null };
    const ensure = (isAllowed: boolean) => isAllowed || stream.fail('the arguments of a call are out of order');
    let isFirst = true;
    while (!stream.isOperator(')')) {
      if (!isFirst) {
        stream.expectOperator(',');
        if (stream.isOperator(')')) break;
      }
      isFirst = false;
      if (stream.skipOperator('*')) {
        ensure(given.rest === null && given.restKeywords === null);
        given.rest = this.expression();
      } else if (stream.skipOperator('**')) {
        ensure(given.restKeywords === null);
        given.restKeywords = this.expression();
      } else if (stream.current.type === 'name' && stream.following.type === 'operator' && stream.following.value === '=') {
        ensure(given.restKeywords === null);
        const name = stream.next().value;
        stream.next();
        given.keywords.push([name, this.expression()]);
      } else {
        ensure(given.rest === null && given.restKeywords === null && given.keywords.length === 0);
        given.args.push(this.expression());
      }
    }
    stream.expectOperator(')');
    return given;
  }
}
