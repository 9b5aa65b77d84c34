import jsep from 'jsep';
import { Refusal } from '../refusal.ts';
import { shown } from '../shown.ts';

/** Longer than any weighting of graders; it also bounds the depth of nesting. */
const MAX_LENGTH = 1_000;

export const FUNCTIONS = {
  min: Math.min,
  max: Math.max,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  exp: Math.exp,
  sqrt: Math.sqrt,
  log: Math.log,
} as const satisfies Record<string, (...values: number[]) => number>;

const OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '^': (a, b) => a ** b,
};

// jsep is told once for the process: `^` is a power, not an exclusive or. What it parses beyond this grammar is refused below.
jsep.addBinaryOp('^', 11, true);

export type Formula = (values: Readonly<Record<string, number>>) => number;

/**
 * Arithmetic over names, and nothing else: the text comes from users and is never run as code.
 * @param names the variables that it may use
 * @param param the formula's path in the request
 * @throws Refusal invalid_formula
 */
export function parseFormula(text: string, names: readonly string[], param: string): Formula {
  try {
    if (text.length > MAX_LENGTH) throw invalid(`has ${text.length} characters; the limit is ${MAX_LENGTH}`);
    return formulaOf(jsep(text), names);
  } catch (error) {
    const { message } = error instanceof InvalidFormula ? error : invalid(`cannot be read: ${(error as Error).message}`);
    throw new Refusal('invalid_formula', message, {
      param,
      hint: `Example: 0.7 * answer + 0.3 * min(style, 1). Functions: ${Object.keys(FUNCTIONS).join(', ')}.`,
    });
  }
}

class InvalidFormula extends Error {
  override readonly name = 'InvalidFormula';
}

function formulaOf(node: jsep.Expression, names: readonly string[]): Formula {
  const { type } = node;
  if (type === 'Literal') {
    const { value } = node as jsep.Literal;
    if (typeof value === 'number') return () => value;
  } else if (type === 'Identifier') {
    const { name } = node as jsep.Identifier;
    if (!names.includes(name)) throw invalid(`names ${shown(name)}, which is no grader; there is ${names.join(', ')}`);
    return (values) => values[name]!;
  } else if (type === 'UnaryExpression') {
    const { operator, argument } = node as jsep.UnaryExpression;
    const inner = formulaOf(argument, names);
    if (operator === '-') return (values) => -inner(values);
    if (operator === '+') return inner;
  } else if (type === 'BinaryExpression') {
    const { operator, left, right } = node as jsep.BinaryExpression;
    if (operator === '^' && left.type === 'UnaryExpression')
      throw invalid('has a sign before the base of a power, which can be read in two ways: write -1 * a^2, or (0 - a)^2');
    const apply = OPERATORS[operator];
    const [a, b] = [formulaOf(left, names), formulaOf(right, names)];
    if (apply !== undefined) return (values) => apply(a(values), b(values));
  } else if (type === 'CallExpression') {
    const { callee, arguments: given } = node as jsep.CallExpression;
    const name = callee.type === 'Identifier' ? (callee as jsep.Identifier).name : '';
    if (Object.hasOwn(FUNCTIONS, name))
      return call(
        name as keyof typeof FUNCTIONS,
        given.map((argument) => formulaOf(argument, names)),
      );
  }
  throw invalid('has something other than numbers, names of graders, + - * / ^, brackets and functions');
}

function call(name: keyof typeof FUNCTIONS, given: readonly Formula[]): Formula {
  const apply: (...values: number[]) => number = FUNCTIONS[name];
  const takesMany = name === 'min' || name === 'max';
  if (given.length === 0 || (given.length > 1 && !takesMany))
    throw invalid(`gives ${name} ${given.length} values; it takes ${takesMany ? 'one or more' : 'one'}`);
  return (values) => apply(...given.map((argument) => argument(values)));
}

const invalid = (what: string) => new InvalidFormula(`calculate_output ${what}`);
