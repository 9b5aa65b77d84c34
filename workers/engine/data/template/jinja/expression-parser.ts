/** Parses expressions by Jinja 3.1's grammar, from the loosest binding to the tightest: if-else, or, and, not, comparison, + -, ~, * / // %, **, unary, filters. */
import { CONSTANTS, OperandParser } from './operand-parser.ts';
import type { Comparison, Expression, Target } from './syntax.ts';

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];

export class ExpressionParser extends OperandParser {
  expression(withCondition = true): Expression {
    return withCondition ? this.#condition() : this.#or();
  }

  /** Expressions separated by commas make a tuple, also without parentheses. @param end a name that ends it, e.g. `in` */
  tuple({ withCondition = true, end = null as string | null, inParentheses = false } = {}): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.stream.expectOperator(',');
      if (this.#endsTuple(end)) break;
      items.push(this.expression(withCondition));
      if (!this.stream.isOperator(',')) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length > 0) return items[0]!;
      if (!inParentheses) this.stream.fail(`expected an expression, got ${this.stream.described}`);
    }
    return { kind: 'tuple', items };
  }

  protected inParentheses(): Expression {
    return this.tuple({ inParentheses: true });
  }

  #endsTuple(end: string | null): boolean {
    return ['print end', 'block end'].includes(this.stream.current.type) || this.stream.isOperator(')') || (end !== null && this.stream.isName(end));
  }

  /** @param end a name that ends it, e.g. `in` */
  target({ withMember = false, end = null as string | null } = {}): Target {
    if (withMember && this.stream.following.value === '.' && this.stream.following.type === 'operator') return this.#simpleTarget(true);
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.stream.expectOperator(',');
      if (this.#endsTuple(end)) break;
      items.push(this.#simpleTarget(withMember));
      if (!this.stream.isOperator(',')) break;
      isTuple = true;
    }
    if (!isTuple && items.length === 0) this.stream.fail(`expected a name to assign to, got ${this.stream.described}`);
    return isTuple ? { kind: 'targets', items } : items[0]!;
  }

  #simpleTarget(withMember: boolean): Target {
    if (this.stream.skipOperator('(')) {
      const target = this.target({ withMember: false });
      this.stream.expectOperator(')');
      return target;
    }
    const name = this.assignedName();
    if (!withMember || !this.stream.skipOperator('.')) return { kind: 'name', name };
    return { kind: 'member', name, attribute: this.stream.expect('name').value };
  }

  assignedName(): string {
    const { value } = this.stream.current;
    if (value in CONSTANTS) this.stream.fail(`cannot assign to ${value}`);
    return this.stream.expect('name').value;
  }

  #condition(): Expression {
    let expression = this.#or();
    while (this.stream.skipName('if')) {
      const test = this.#or();
      expression = { kind: 'condition', test, whenTrue: expression, otherwise: this.stream.skipName('else') ? this.#condition() : null };
    }
    return expression;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.stream.skipName('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.stream.skipName('and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    return this.stream.skipName('not') ? { kind: 'not', operand: this.#not() } : this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: { operator: Comparison; operand: Expression }[] = [];
    for (;;) {
      const { current } = this.stream;
      if (current.type === 'operator' && COMPARISONS.includes(current.value)) {
        this.stream.next();
        rest.push({ operator: current.value as Comparison, operand: this.#sum() });
      } else if (this.stream.skipName('in')) rest.push({ operator: 'in', operand: this.#sum() });
      else if (this.stream.isName('not') && this.stream.following.type === 'name' && this.stream.following.value === 'in') {
        this.stream.next();
        this.stream.next();
        rest.push({ operator: 'not in', operand: this.#sum() });
      } else break;
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest };
  }

  /** Operators of one precedence, from left to right. */
  #arithmetic(operators: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    while (this.stream.current.type === 'operator' && operators.includes(this.stream.current.value)) {
      const operator = this.stream.next().value as '+';
      left = { kind: 'arithmetic', operator, left, right: operand() };
    }
    return left;
  }

  #sum(): Expression {
    return this.#arithmetic(['+', '-'], () => this.#concatenation());
  }

  #concatenation(): Expression {
    const parts = [this.#product()];
    while (this.stream.skipOperator('~')) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : { kind: 'concat', parts };
  }

  #product(): Expression {
    return this.#arithmetic(['*', '/', '//', '%'], () => this.#arithmetic(['**'], () => this.unary(true)));
  }
}
