/** Turns an expression into a function of the variables, once for all renderings. */
import { arithmetic, negative, positive } from './arithmetic.ts';
import { attributeOf, itemOf } from './attributes.ts';
import { ENVIRONMENT } from './built-ins.ts';
import { compare, contains, equals } from './compare.ts';
import { dictSet } from './dict.ts';
import { type Operation, operation } from './environment.ts';
import { TemplateError, TemplateSyntaxError } from './error.ts';
import type { Frame } from './frame.ts';
import { checkLength } from './limits.ts';
import { asText } from './signature.ts';
import { slice } from './slicing.ts';
import type { Symbols } from './symbols.ts';
import type { Arguments, Comparison, Expression, Named } from './syntax.ts';
import { str } from './text.ts';
import { Callable, dictOf, isTrue, type Keywords, Tuple, toList, typeName, Undefined, type Value } from './values.ts';

export type Compiled = (frame: Frame) => Value;

/** Where an expression stands. */
export interface Scope {
  symbols: Symbols;
  /** In a branch of an `if`: an unknown filter there is an error only if it is reached. */
  isConditional: boolean;
}

const NO_KEYWORDS: Keywords = new Map();

export function compileExpression(expression: Expression, scope: Scope): Compiled {
  const compiled = (each: Expression) => compileExpression(each, scope);
  switch (expression.kind) {
    case 'constant': {
      const { value } = expression;
      return () => value;
    }
    case 'name':
      return compileName(expression.name, scope);
    case 'list': {
      const items = expression.items.map(compiled);
      return (frame) => items.map((item) => item(frame));
    }
    case 'tuple': {
      const items = expression.items.map(compiled);
      return (frame) => new Tuple(items.map((item) => item(frame)));
    }
    case 'dict':
      return compileDict(expression.pairs.map(([key, value]) => [compiled(key), compiled(value)]));
    case 'attribute': {
      const [of, { name }] = [compiled(expression.of), expression];
      return (frame) => attributeOf(of(frame), name);
    }
    case 'item': {
      const [of, key] = [compiled(expression.of), compiled(expression.key)];
      return (frame) => itemOf(of(frame), key(frame));
    }
    case 'slice': {
      const [of, start, stop, step] = [expression.of, expression.start, expression.stop, expression.step].map((each) =>
        each === null ? () => null : compiled(each),
      ) as [Compiled, Compiled, Compiled, Compiled];
      return (frame) => slice(of(frame), start(frame), stop(frame), step(frame));
    }
    case 'call':
      return compileCall(compiled(expression.callee), compileArguments(expression, scope));
    case 'filter':
      return compileOperation('filter', ENVIRONMENT.filters, expression, expression.operand, scope);
    case 'test':
      return compileOperation('test', ENVIRONMENT.tests, expression, expression.operand, scope);
    case 'not': {
      const operand = compiled(expression.operand);
      return (frame) => !isTrue(operand(frame));
    }
    case 'negative': {
      const operand = compiled(expression.operand);
      return (frame) => negative(operand(frame));
    }
    case 'positive': {
      const operand = compiled(expression.operand);
      return (frame) => positive(operand(frame));
    }
    case 'arithmetic': {
      const [left, right, { operator }] = [compiled(expression.left), compiled(expression.right), expression];
      return (frame) => {
        frame.run.timeLimit.check();
        return arithmetic(operator, left(frame), right(frame));
      };
    }
    case 'and': {
      const [left, right] = [compiled(expression.left), compiled(expression.right)];
      return (frame) => {
        const value = left(frame);
        return isTrue(value) ? right(frame) : value;
      };
    }
    case 'or': {
      const [left, right] = [compiled(expression.left), compiled(expression.right)];
      return (frame) => {
        const value = left(frame);
        return isTrue(value) ? value : right(frame);
      };
    }
    case 'concat':
      return compileConcat(expression.parts.map(compiled));
    case 'compare':
      return compileCompare(
        compiled(expression.first),
        expression.rest.map(({ operator, operand }) => ({ holds: COMPARISONS[operator], operand: compiled(operand) })),
      );
    case 'condition':
      return compileCondition(expression, { ...scope, isConditional: true });
  }
}

function compileName(name: string, { symbols }: Scope): Compiled {
  const { hops, slot } = symbols.find(name)!;
  const undefinedName = new Undefined(`'${name}' is undefined`);
  if (hops === 0) return (frame) => valueOr(frame.slots[slot], undefinedName);
  if (hops === 1) return (frame) => valueOr(frame.parent!.slots[slot], undefinedName);
  return (frame) => valueOr(frame.out(hops).slots[slot], undefinedName);
}

const valueOr = (value: Value | undefined, otherwise: Value): Value => (value === undefined ? otherwise : value);

function compileDict(pairs: [Compiled, Compiled][]): Compiled {
  return (frame) => {
    const dict = new Map<Value, Value>();
    for (const [key, value] of pairs) dictSet(dict, key(frame), value(frame));
    return dict;
  };
}

function compileConcat(parts: Compiled[]): Compiled {
  return (frame) => {
    let text = '';
    for (const part of parts) text += str(part(frame));
    checkLength(text.length);
    return text;
  };
}

const COMPARISONS: Record<Comparison, (a: Value, b: Value) => boolean> = {
  '==': equals,
  '!=': (a, b) => !equals(a, b),
  '<': (a, b) => compare(a, b) < 0,
  '<=': (a, b) => compare(a, b) <= 0,
  '>': (a, b) => compare(a, b) > 0,
  '>=': (a, b) => compare(a, b) >= 0,
  in: (a, b) => contains(b, a),
  'not in': (a, b) => !contains(b, a),
};

/** `a < b < c` is `a < b and b < c`. */
function compileCompare(first: Compiled, rest: { holds: (a: Value, b: Value) => boolean; operand: Compiled }[]): Compiled {
  const [only, ...more] = rest as [(typeof rest)[number], ...typeof rest];
  if (more.length === 0) return (frame) => only.holds(first(frame), only.operand(frame));
  return (frame) => {
    let left = first(frame);
    for (const { holds, operand } of rest) {
      const right = operand(frame);
      if (!holds(left, right)) return false;
      left = right;
    }
    return true;
  };
}

function compileCondition({ test, whenTrue, otherwise }: Expression & { kind: 'condition' }, scope: Scope): Compiled {
  const [decides, yes] = [compileExpression(test, scope), compileExpression(whenTrue, scope)];
  const nothing = new Undefined('the inline if-expression evaluated to false and no else section was defined.');
  const no = otherwise === null ? () => nothing : compileExpression(otherwise, scope);
  return (frame) => (isTrue(decides(frame)) ? yes(frame) : no(frame));
}

export type CompiledArguments = (frame: Frame) => { args: Value[]; keywords: Keywords };

export function compileArguments(given: Arguments, scope: Scope): CompiledArguments {
  const compiled = (each: Expression) => compileExpression(each, scope);
  const args = given.args.map(compiled);
  const keywords = given.keywords.map(([name, value]) => [name, compiled(value)] as const);
  const [rest, restKeywords] = [given.rest && compiled(given.rest), given.restKeywords && compiled(given.restKeywords)];
  if (keywords.length === 0 && rest === null && restKeywords === null)
    return (frame) => ({ args: args.map((arg) => arg(frame)), keywords: NO_KEYWORDS });
  return (frame) => {
    const values = args.map((arg) => arg(frame));
    if (rest !== null) values.push(...toList(rest(frame)));
    const named = new Map(keywords.map(([name, value]) => [name, value(frame)]));
    if (restKeywords !== null) addKeywords(named, restKeywords(frame));
    return { args: values, keywords: named };
  };
}

function addKeywords(named: Map<string, Value>, more: Value): void {
  const dict = dictOf(more);
  if (dict === null) throw new TemplateError(`it passes a ${typeName(more)} as keyword arguments`);
  for (const [key, value] of dict) {
    if (named.has(asText(key))) throw new TemplateError(`it passes two values for ${asText(key)}`);
    named.set(asText(key), value);
  }
}

function compileCall(callee: Compiled, given: CompiledArguments): Compiled {
  return (frame) => {
    const called = callee(frame);
    const { args, keywords } = given(frame);
    frame.run.timeLimit.check();
    if (called instanceof Callable) return called.call(args, keywords);
    if (called instanceof Undefined) return called.fail();
    throw new TemplateError(`it calls a ${typeName(called)}, which is not callable`);
  };
}

/** A filter or a test. @param operand null for what a filter block printed, see `compileFilterOf` */
function compileOperation(
  kind: 'filter' | 'test',
  known: ReadonlyMap<string, Operation<Value>>,
  named: Named,
  operand: Expression | null,
  scope: Scope,
): Compiled {
  const apply = compileApplication(kind, known, named, scope);
  const value = operand === null ? () => '' : compileExpression(operand, scope);
  return (frame) => apply(frame, value(frame));
}

function compileApplication(
  kind: 'filter' | 'test',
  known: ReadonlyMap<string, Operation<Value>>,
  named: Named,
  scope: Scope,
): (frame: Frame, value: Value) => Value {
  if (!known.has(named.name) && !scope.isConditional) throw new TemplateSyntaxError(`no ${kind} is named '${named.name}'`, named.line);
  const given = compileArguments(named, scope);
  const { name } = named;
  return (frame, value) => {
    const { args, keywords } = given(frame);
    frame.run.timeLimit.check();
    return operation(kind, known, name)(value, args, keywords, ENVIRONMENT);
  };
}

/** A chain of filters without an operand, to be applied to a block's text. */
export function compileFilterOf(filter: Expression & { kind: 'filter' }, scope: Scope): (frame: Frame, text: Value) => Value {
  const apply = compileApplication('filter', ENVIRONMENT.filters, filter, scope);
  if (filter.operand === null) return apply;
  const inner = compileFilterOf(filter.operand as Expression & { kind: 'filter' }, scope);
  return (frame, text) => apply(frame, inner(frame, text));
}
