/**
 * Makes a template parsed by the JavaScript library behave as in Python's Jinja. In places the library follows JavaScript, mostly without an error:
 * `strip('x')` ignores its argument, dicts are equal only by identity, `{{ true }}` prints "true", a dict prints as JSON, and a variable set in a
 * loop's body is still set in the next iteration. Such expressions are replaced by calls to the functions below.
 */
import type { parse } from '@huggingface/jinja';
import { JSON_PARAMETERS, pythonJson } from './python-json.ts';
import {
  jinjaTitle,
  pythonCapitalize,
  pythonConcat,
  pythonEquals,
  pythonIn,
  pythonLength,
  pythonStr,
  pythonStrip,
  pythonTests,
  pythonTitle,
  type Side,
  type TemplateValue,
} from './python-values.ts';

type Program = ReturnType<typeof parse>;

/** A node of the library's syntax tree, whose classes it does not export. */
type Node = { type: string } & Record<string, unknown>;

// A prefix for names that no template uses.
const PREFIX = '__python_';

type Pair = [TemplateValue, TemplateValue];

/** Functions for the template's environment. The library unwraps arguments, losing their type, but not a list's members: operands come in lists. */
export const pythonFunctions: Record<string, unknown> = Object.fromEntries(
  Object.entries({
    str: ([each]: [TemplateValue]) => pythonStr(each),
    equals: ([a, b]: Pair) => pythonEquals(a, b),
    differs: ([a, b]: Pair) => !pythonEquals(a, b),
    in: ([a, b]: Pair) => pythonIn(a, b),
    not_in: ([a, b]: Pair) => !pythonIn(a, b),
    concat: (operands: TemplateValue[]) => pythonConcat(operands),
    length: ([each]: [TemplateValue]) => pythonLength(each),
    strip: ([each]: [TemplateValue], side: Side, characters?: string | null) => pythonStrip(each, side, characters),
    capitalize: ([each]: [TemplateValue]) => pythonCapitalize(pythonStr(each)),
    title: ([each]: [TemplateValue]) => pythonTitle(pythonStr(each)),
    json: ([each]: [TemplateValue], parameters = new Map<string, TemplateValue>()) => pythonJson(each, parameters),
    title_filter: ([each]: [TemplateValue]) => jinjaTitle(pythonStr(each)),
    test: ([each]: [TemplateValue], name: string) => pythonTests[name]!(each),
  }).map(([name, implementation]) => [PREFIX + name, implementation]),
);

const STATEMENTS = ['Program', 'If', 'For', 'Break', 'Continue', 'Set', 'Macro', 'Comment', 'CallStatement', 'FilterStatement'];
const OPERATORS: Record<string, string> = { '==': 'equals', '!=': 'differs', in: 'in', 'not in': 'not_in' };
const SIDES: readonly string[] = ['strip', 'lstrip', 'rstrip'] satisfies Side[];
const DICT_METHODS = ['items', 'keys', 'values', 'get'];

const text = (value: string): Node => ({ type: 'StringLiteral', value });
const list = (value: Node[]): Node => ({ type: 'ArrayLiteral', value });
const name = (value: string): Node => ({ type: 'Identifier', value });
const call = (callee: string, operands: Node[], ...more: Node[]): Node => ({
  type: 'CallExpression',
  callee: name(PREFIX + callee),
  args: [list(operands), ...more],
});
const set = (assignee: Node, value: Node): Node => ({ type: 'Set', assignee, value, body: [] });

const keyword = (key: string, value: Node): Node => ({ type: 'KeywordArgumentExpression', key: name(key), value });

/** @returns the same tree with nodes replaced in place, to run with `pythonFunctions` */
export function asPython(program: Program): Program {
  return rewrite(program, { loops: 0 }) as Program;
}

function rewrite(node: unknown, counter: { loops: number }): unknown {
  if (Array.isArray(node)) return node.map((each) => rewrite(each, counter));
  if (node instanceof Map) return new Map([...node].map(([key, value]) => [rewrite(key, counter), rewrite(value, counter)]));
  if (typeof node !== 'object' || node === null) return node;
  const rewritten = node as Node;
  const assigned = rewritten.type === 'For' ? assignedNames(rewritten) : [];
  for (const [key, child] of Object.entries(rewritten)) {
    const isBlock = Array.isArray(child) && ['body', 'alternate', 'defaultBlock'].includes(key);
    rewritten[key] = isBlock ? block(child as Node[], counter) : rewrite(child, counter);
  }
  if (rewritten.type === 'For') rewritten['resets'] = assigned;
  return replacement(rewritten);
}

/** Prints a block's expressions as Python does, and makes each iteration of its loops begin with the variables as they were before the loop. */
function block(statements: Node[], counter: { loops: number }): Node[] {
  return statements.flatMap((statement) => {
    const each = rewrite(statement, counter) as Node;
    if (each.type === 'StringLiteral') return [each];
    if (!STATEMENTS.includes(each.type)) return [call('str', [each])];
    if (each.type !== 'For') return [each];
    const loop = counter.loops++;
    const kept = (each['resets'] as string[]).map((variable) => ({ variable, outer: `${PREFIX}outer_${loop}_${variable}` }));
    each['body'] = [...kept.map(({ variable, outer }) => set(name(variable), name(outer))), ...(each['body'] as Node[])];
    return [...kept.map(({ variable, outer }) => set(name(outer), name(variable))), each];
  });
}

/** The variables that a loop's body sets, except in nested loops and macros, which have their own scope. */
function assignedNames({ loopvar, body }: Node): string[] {
  const found = new Set<string>();
  const visit = (statements: Node[]) => {
    for (const { type, assignee, ...rest } of statements) {
      if (type === 'Set') for (const variable of targetNames(assignee as Node)) found.add(variable);
      if (type === 'If') for (const key of ['body', 'alternate']) visit((rest as Record<string, Node[]>)[key] ?? []);
    }
  };
  visit(body as Node[]);
  for (const variable of targetNames(loopvar as Node)) found.delete(variable);
  return [...found];
}

const targetNames = (target: Node): string[] =>
  target.type === 'Identifier' ? [target['value'] as string] : target.type === 'TupleLiteral' ? (target['value'] as Node[]).flatMap(targetNames) : [];

/** @param node its children rewritten already */
function replacement(node: Node): Node {
  switch (node.type) {
    case 'BinaryExpression':
      return binary(node);
    case 'FilterExpression':
      return filtered(node, node['operand'] as Node, node['filter'] as Node);
    case 'CallExpression':
      return called(node, node['callee'] as Node, node['args'] as Node[]);
    case 'TestExpression': {
      const test = (node['test'] as Node)['value'] as string;
      if (!(test in pythonTests)) return node;
      const tested = call('test', [node['operand'] as Node], text(test));
      return node['negate'] === true ? { type: 'UnaryExpression', operator: { type: 'UnaryOperator', value: 'not' }, argument: tested } : tested;
    }
    case 'For': {
      const iterable = node['iterable'] as Node;
      if (iterable.type === 'SelectExpression') iterable['lhs'] = orEmpty(iterable['lhs'] as Node);
      else node['iterable'] = orEmpty(iterable);
      return node;
    }
    default:
      return node;
  }
}

function binary(node: Node): Node {
  const operator = node['operator'] as Node;
  const [left, right] = [node['left'] as Node, node['right'] as Node];
  const callee = OPERATORS[operator['value'] as string];
  if (callee !== undefined) return call(callee, [left, right]);
  if (operator['value'] === '+') return concatenation(node);
  if (operator['value'] !== '~') return node;
  return { ...node, operator: { ...operator, value: '+' }, left: call('str', [left]), right: call('str', [right]) };
}

/** A sum with a string literal must be of strings only: the library would silently convert a dict or a number to text. */
function concatenation(node: Node): Node {
  const operands = [node['left'] as Node, node['right'] as Node].flatMap((each) =>
    isConcat(each) ? (each['args'] as [{ value: Node[] }])[0].value : [each],
  );
  return operands.some(({ type }) => type === 'StringLiteral') ? call('concat', operands) : node;
}

const isConcat = ({ type, callee }: Node): boolean => type === 'CallExpression' && (callee as Node)['value'] === `${PREFIX}concat`;

function filtered(node: Node, operand: Node, filter: Node): Node {
  const isCall = filter.type === 'CallExpression';
  const args = isCall ? (filter['args'] as Node[]) : [];
  switch (isCall ? (filter['callee'] as Node)['value'] : filter['value']) {
    case 'string':
      return call('str', [operand]);
    case 'tojson':
      return call(
        'json',
        [operand],
        ...args.map((each, index) => (each.type === 'KeywordArgumentExpression' ? each : keyword(JSON_PARAMETERS[index]!, each))),
      );
    case 'trim':
      return call('strip', [call('str', [operand])], text('strip'), ...args);
    case 'length':
    case 'count':
      return call('length', [operand]);
    case 'capitalize':
      return call('capitalize', [operand]);
    case 'title':
      return call('title_filter', [operand]);
    default:
      return node;
  }
}

/** Methods of strings, and of dicts even if a key has the method's name ("items" in a JSON schema). */
function called(node: Node, callee: Node, args: Node[]): Node {
  if (callee.type !== 'MemberExpression' || callee['computed'] === true) return node;
  const object = callee['object'] as Node;
  const method = (callee['property'] as Node)['value'] as string;
  if (SIDES.includes(method)) return call('strip', [object], text(method), ...args);
  if (method === 'capitalize' || method === 'title') return call(method, [object]);
  if (!DICT_METHODS.includes(method)) return node;
  const filter = method === 'get' ? { type: 'CallExpression', callee: name(method), args } : name(method);
  return { type: 'FilterExpression', operand: object, filter };
}

/** Python iterates zero times over an undefined list; the library throws. */
const orEmpty = (iterable: Node): Node => ({
  type: 'Ternary',
  condition: { type: 'TestExpression', operand: iterable, negate: false, test: name('defined') },
  trueExpr: iterable,
  falseExpr: list([]),
});
