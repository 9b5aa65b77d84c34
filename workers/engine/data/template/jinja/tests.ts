/** Jinja's tests, `value is …`. */
import { arithmetic } from './arithmetic.ts';
import { compare, contains, equals } from './compare.ts';
import type { Environment, Operation } from './environment.ts';
import { bind } from './signature.ts';
import { isLower, isUpper } from './strings.ts';
import { str } from './text.ts';
import { Callable, dictOf, Markup, PyObject, typeName, Undefined, type Value } from './values.ts';

type Unary = (value: Value) => boolean;
type Binary = (value: Value, other: Value) => boolean;

const isNumber: Unary = (value) => typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
const remainder = (value: Value, by: Value): Value => arithmetic('%', value, by);
/** Types with `__len__` and `__getitem__`. */
const SEQUENCES = ['str', 'list', 'tuple', 'dict', 'range', 'Undefined', 'Markup'];

const UNARY: Record<string, Unary> = {
  odd: (value) => equals(remainder(value, 2n), 1n),
  even: (value) => equals(remainder(value, 2n), 0n),
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  false: (value) => value === false,
  true: (value) => value === true,
  integer: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  lower: (value) => isLower(str(value)),
  upper: (value) => isUpper(str(value)),
  string: (value) => typeof value === 'string' || value instanceof Markup,
  mapping: (value) => dictOf(value) !== null,
  number: isNumber,
  sequence: (value) => SEQUENCES.includes(typeName(value)),
  iterable: (value) =>
    value !== null && !isNumber(value) && (!(value instanceof PyObject) || SEQUENCES.includes(typeName(value)) || value.iterate() !== null),
  callable: (value) => value instanceof Callable,
  escaped: (value) => value instanceof Markup,
};

const named = (names: string[], test: Binary): [string, Binary][] => names.map((name) => [name, test]);
const BINARY = new Map<string, Binary>([
  ...named(['==', 'eq', 'equalto'], equals),
  ...named(['!=', 'ne'], (value, other) => !equals(value, other)),
  ...named(['>', 'gt', 'greaterthan'], (value, other) => compare(value, other) > 0),
  ...named(['>=', 'ge'], (value, other) => compare(value, other) >= 0),
  ...named(['<', 'lt', 'lessthan'], (value, other) => compare(value, other) < 0),
  ...named(['<=', 'le'], (value, other) => compare(value, other) <= 0),
  ...named(['in'], (value, other) => contains(other, value)),
  ...named(['sameas'], (value, other) => value === other),
  ...named(['divisibleby'], (value, by) => equals(remainder(value, by), 0n)),
]);

export const TESTS: ReadonlyMap<string, Operation<boolean>> = new Map<string, Operation<boolean>>([
  ...Object.entries(UNARY).map(([name, test]): [string, Operation<boolean>] => [
    name,
    (value, args, keywords) => {
      bind(`the test ${name}`, [], args, keywords);
      return test(value);
    },
  ]),
  ...[...BINARY].map(([name, test]): [string, Operation<boolean>] => [
    name,
    (value, args, keywords) =>
      test(value, bind(`the test ${name}`, [[name === 'divisibleby' ? 'num' : name === 'in' ? 'seq' : 'other']], args, keywords)[0]!),
  ]),
  ['filter', (value, _args, _keywords, { filters }: Environment) => typeof value === 'string' && filters.has(value)],
  ['test', (value, _args, _keywords, { tests }: Environment) => typeof value === 'string' && tests.has(value)],
]);
