/** Compares an answer with what the contract says of it. */
import { AssertionError } from 'node:assert';
import { inspect } from 'node:util';

/** `Number`, `String`, `Boolean`: any of that type; a RegExp: a text like it; a function: what it accepts; an object or array: the same in every entry named. */
export type Expected = unknown;

/** @throws AssertionError that names the entry */
export function expectMatch(actual: unknown, expected: Expected, path = 'the answer'): void {
  const fail = (what: string): never => {
    throw new AssertionError({ message: `${path} is ${inspect(actual, { depth: 1, breakLength: 200 }).slice(0, 300)}; expected ${what}` });
  };
  if (expected === Number || expected === String || expected === Boolean) {
    const type = (expected as { name: string }).name.toLowerCase();
    if (typeof actual !== type) fail(`a ${type}`);
  } else if (expected instanceof RegExp) {
    if (typeof actual !== 'string' || !expected.test(actual)) fail(`a text like ${expected}`);
  } else if (typeof expected === 'function') {
    if (!(expected as (value: unknown) => boolean)(actual)) fail(expected.name || expected.toString());
  } else if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) fail(`a list of ${expected.length}`);
    for (const [index, item] of expected.entries()) expectMatch((actual as unknown[])[index], item, `${path}[${index}]`);
  } else if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) fail('an object');
    for (const [key, value] of Object.entries(expected)) expectMatch((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
  } else if (!Object.is(actual, expected)) fail(inspect(expected));
}

/** Accepts null, or what matches. */
export const orNull = (expected: Expected) => {
  const accepts = (value: unknown): boolean => value === null || matches(value, expected);
  return Object.defineProperty(accepts, 'name', { value: `null or ${inspect(expected)}` });
};

export const oneOf = (...values: unknown[]) => {
  const accepts = (value: unknown): boolean => values.includes(value);
  return Object.defineProperty(accepts, 'name', { value: `one of ${inspect(values)}` });
};

function matches(value: unknown, expected: Expected): boolean {
  try {
    expectMatch(value, expected);
    return true;
  } catch {
    return false;
  }
}

/** @throws AssertionError unless the call is refused with an error of that class, which is as expected */
export async function expectRefusal(call: Promise<unknown>, type: new (...args: never[]) => Error, expected: Expected = {}): Promise<void> {
  const outcome: { value: unknown } | { error: unknown } = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('value' in outcome)
    throw new AssertionError({ message: `the call answered ${inspect(outcome.value, { depth: 1 }).slice(0, 200)}; expected ${type.name}` });
  const { error } = outcome;
  if (!(error instanceof type)) throw new AssertionError({ message: `the call threw ${String(error).slice(0, 300)}; expected ${type.name}` });
  expectMatch(error, expected, `the ${type.name}`);
}
