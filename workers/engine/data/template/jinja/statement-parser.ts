/** Parses a template's statements by Jinja 3.1's grammar, with loop controls and transformers' `{% generation %}`. */
import { ExpressionParser } from './expression-parser.ts';
import { tokenize } from './lexer.ts';
import type { Expression, Filter, If, Parameter, Statement, Target } from './syntax.ts';
import { names } from './target-names.ts';
import { TokenStream } from './token-stream.ts';

/** Statements that read other templates, of which a chat template has none, or that no chat template needs. */
const UNSUPPORTED = ['extends', 'include', 'import', 'from', 'block', 'autoescape'];

/** @throws TemplateSyntaxError */
export function parseTemplate(source: string): Statement[] {
  return new StatementParser(new TokenStream(tokenize(source))).template();
}

/** Where `break` and `continue` may stand: Python's own rule, because Jinja makes a Python function of each macro and call block. */
interface Surroundings {
  inLoop: boolean;
}

class StatementParser extends ExpressionParser {
  #surroundings: Surroundings = { inLoop: false };

  template(): Statement[] {
    const body = this.#body([]);
    if (this.stream.current.type !== 'end') this.stream.fail(`unexpected ${this.stream.described}`);
    return body;
  }

  /** Statements up to a block whose name is one of `ends`; that name is then the current token. */
  #body(ends: readonly string[]): Statement[] {
    const statements: Statement[] = [];
    for (;;) {
      const { type, value } = this.stream.current;
      if (type === 'end') {
        if (ends.length > 0) this.stream.fail(`the template ends before ${ends.join(' or ')}`);
        return statements;
      }
      this.stream.next();
      if (type === 'data') statements.push({ kind: 'data', text: value });
      else if (type === 'print begin') {
        statements.push({ kind: 'print', value: this.tuple() });
        this.stream.expect('print end');
      } else {
        if (this.stream.isName(...ends)) return statements;
        statements.push(...this.#statement());
        this.stream.expect('block end');
      }
    }
  }

  /** The body of a block: from the end of its opening to its closing, whose name is consumed. @returns it and the name that closed it */
  #block(...ends: string[]): { body: Statement[]; end: string } {
    this.stream.skipOperator(':');
    this.stream.expect('block end');
    const body = this.#body(ends);
    return { body, end: this.stream.next().value };
  }

  #within(surroundings: Surroundings, ...ends: string[]): { body: Statement[]; end: string } {
    const outer = this.#surroundings;
    this.#surroundings = surroundings;
    const block = this.#block(...ends);
    this.#surroundings = outer;
    return block;
  }

  #statement(): Statement[] {
    const { stream } = this;
    const { value } = stream.current;
    if (stream.current.type !== 'name') stream.fail(`expected the name of a statement, got ${stream.described}`);
    if (UNSUPPORTED.includes(value)) stream.fail(`{% ${value} %} is not supported in chat templates`);
    stream.next();
    switch (value) {
      case 'if':
        return [this.#if()];
      case 'for':
        return [this.#for()];
      case 'set':
        return [this.#set()];
      case 'macro': {
        const name = this.assignedName();
        const parameters = this.#parameters();
        return [{ kind: 'macro', name, parameters, body: this.#within({ inLoop: false }, 'endmacro').body }];
      }
      case 'call':
        return [this.#call()];
      case 'filter': {
        const filter = this.#filterChain(this.filter(null));
        return [{ kind: 'filter block', filter, body: this.#block('endfilter').body }];
      }
      case 'with':
        return [this.#with()];
      case 'print':
        return this.#print();
      case 'generation':
        return [{ kind: 'generation', body: this.#within({ inLoop: false }, 'endgeneration').body }];
      case 'break':
      case 'continue':
        if (!this.#surroundings.inLoop) stream.fail(`{% ${value} %} is not inside a loop`);
        return [{ kind: value }];
      default:
        return stream.fail(`unknown statement ${value}`);
    }
  }

  #if(): If {
    const test = this.tuple({ withCondition: false });
    const { body, end } = this.#block('elif', 'else', 'endif');
    if (end === 'elif') return { kind: 'if', test, body, otherwise: [this.#if()] };
    return { kind: 'if', test, body, otherwise: end === 'else' ? this.#block('endif').body : [] };
  }

  #for(): Statement {
    const target = this.target({ end: 'in' });
    if (names(target).includes('loop')) this.stream.fail('a loop cannot assign to loop');
    this.stream.expectName('in');
    const iterable = this.tuple({ withCondition: false, end: 'recursive' });
    const test = this.stream.skipName('if') ? this.expression() : null;
    const recursive = this.stream.skipName('recursive');
    const { body, end } = this.#within({ inLoop: true }, 'endfor', 'else');
    const otherwise = end === 'else' ? this.#block('endfor').body : [];
    return { kind: 'for', target, iterable, test, recursive, body, otherwise };
  }

  #set(): Statement {
    const target = this.target({ withMember: true });
    if (this.stream.skipOperator('=')) return { kind: 'set', target, value: this.tuple() };
    const filter = this.stream.skipOperator('|') ? this.#filterChain(this.filter(null)) : null;
    return { kind: 'set block', target, filter, body: this.#block('endset').body };
  }

  #filterChain(first: Filter): Filter {
    let filter = first;
    while (this.stream.skipOperator('|')) filter = this.filter(filter);
    return filter;
  }

  #call(): Statement {
    const parameters = this.stream.isOperator('(') ? this.#parameters() : [];
    const call = this.expression();
    if (call.kind !== 'call') return this.stream.fail('{% call %} needs a call');
    return { kind: 'call block', call, parameters, body: this.#within({ inLoop: false }, 'endcall').body };
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.stream.expectOperator('(');
    while (!this.stream.isOperator(')')) {
      if (parameters.length > 0) this.stream.expectOperator(',');
      const name = this.assignedName();
      if (parameters.some((each) => each.name === name)) this.stream.fail(`the parameter ${name} is declared twice`);
      const byDefault = this.stream.skipOperator('=') ? this.expression() : null;
      if (byDefault === null && parameters.some((each) => each.byDefault !== null))
        this.stream.fail('a parameter without a default follows one with a default');
      parameters.push({ name, byDefault });
    }
    this.stream.expectOperator(')');
    return parameters;
  }

  #with(): Statement {
    const targets: Target[] = [];
    const values: Expression[] = [];
    while (this.stream.current.type !== 'block end') {
      if (targets.length > 0) this.stream.expectOperator(',');
      targets.push(this.target());
      this.stream.expectOperator('=');
      values.push(this.expression());
    }
    return { kind: 'with', targets, values, body: this.#block('endwith').body };
  }

  #print(): Statement[] {
    const printed: Statement[] = [];
    while (this.stream.current.type !== 'block end') {
      if (printed.length > 0) this.stream.expectOperator(',');
      printed.push({ kind: 'print', value: this.expression() });
    }
    return printed;
  }
}
