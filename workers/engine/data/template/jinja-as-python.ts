/**
 * Makes a template that was parsed by the JavaScript library mean what it means to Jinja in Python. The library goes JavaScript's own way in places, mostly
 * without a word: `strip('x')` forgets its argument, dicts are equal only to themselves, `{{ true }}` prints "true", a dict prints as JSON, a variable
 * that a loop's body sets is still set the next time round. Those expressions are replaced by calls of the functions below.
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

// Names no template uses.
const PREFIX = '__python_';

type Pair = [TemplateValue, TemplateValue];

/** For the template's environment. The library unwraps arguments, which loses their kind; a list keeps its members as they are, so operands come in lists. */
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
  }).map(([name, work]) => [PREFIX + name, work]),
);

const STATEMENTS = ['Program', 'If', 'For', 'Break', 'Continue', 'Set', 'Macro', 'Comment', 'CallStatement', 'FilterStatement'];
const OPERATORS: Record<string, string> = { '==': 'equals', '!=': 'differs', in: 'in', 'not in': 'not_in' };
const SIDES: readonly string[] = ['strip', 'lstrip', 'rstrip'] satisfies Side[];
const DICT_METHODS = ['items', 'keys', 'values', 'get'];

const text = (value: string): Node => ({ type: 'StringLiteral', value });
const list = (value: Node[]): Node => ({ type: 'ArrayLiteral', value });
const name = (value: string): Node => ({ type: 'Identifier', value });
const call = (work: string, operands: Node[], ...more: Node[]): Node => ({
  type: 'CallExpression',
  callee: name(PREFIX + work),
  args: [list(operands), ...more],
});
const set = (assignee: Node, value: Node): Node => ({ type: 'Set', assignee, value, body: [] });

const keyword = (key: string, value: Node): Node => ({ type: 'KeywordArgumentExpression', key: name(key), value });

/** @returns the same tree, its nodes replaced where they are; to be run with `pythonFunctions` */
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
  if (rewritten.type === 'For') rewritten['forgets'] = assigned;
  return replacement(rewritten);
}

/** A block's expressions are printed; its loops get a body that begins with the variables as they were before the loop. */
function block(statements: Node[], counter: { loops: number }): Node[] {
  return statements.flatMap((statement) => {
    const each = rewrite(statement, counter) as Node;
    if (each.type === 'StringLiteral') return [each];
    if (!STATEMENTS.includes(each.type)) return [call('str', [each])];
    if (each.type !== 'For') return [each];
    const loop = counter.loops++;
    const kept = (each['forgets'] as string[]).map((variable) => ({ variable, outer: `${PREFIX}outer_${loop}_${variable}` }));
    each['body'] = [...kept.map(({ variable, outer }) => set(name(variable), name(outer))), ...(each['body'] as Node[])];
    return [...kept.map(({ variable, outer }) => set(name(outer), name(variable))), each];
  });
}

/** What a loop's body sets, loops and macros within it aside: they have variables of their own. */
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
      if (iterable.type === 'SelectExpression') iterable['lhs'] = orNothing(iterable['lhs'] as Node);
      else node['iterable'] = orNothing(iterable);
      return node;
    }
    default:
      return node;
  }
}

function binary(node: Node): Node {
  const operator = node['operator'] as Node;
  const [left, right] = [node['left'] as Node, node['right'] as Node];
  const work = OPERATORS[operator['value'] as string];
  if (work !== undefined) return call(work, [left, right]);
  if (operator['value'] === '+') return concatenation(node);
  if (operator['value'] !== '~') return node;
  return { ...node, operator: { ...operator, value: '+' }, left: call('str', [left]), right: call('str', [right]) };
}

/** A sum with a string in it is one of strings only: the library would make text of a dict or a number without a word. */
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

/** Methods of strings, and those of dicts, which a key of the same name ("items" in a JSON schema) does not hide. */
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

/** Python goes through an undefined list no time; the library throws. */
const orNothing = (iterable: Node): Node => ({
  type: 'Ternary',
  condition: { type: 'TestExpression', operand: iterable, negate: false, test: name('defined') },
  trueExpr: iterable,
  falseExpr: list([]),
});
