/** How Python binds arguments to the parameters of its built-in functions. */
import { TemplateError } from './error.ts';
import { Callable, type Keywords, textOf, typeName, Undefined, type Value } from './values.ts';

/** A name, and the default of a parameter that has one. */
export type Parameter = readonly [name: string, byDefault?: Value];

/** @returns a value for each parameter @throws TemplateError where Python raises TypeError */
export function bind(name: string, parameters: readonly Parameter[], args: readonly Value[], keywords: Keywords): Value[] {
  if (args.length > parameters.length) throw new TemplateError(`${name}() takes ${parameters.length} arguments, but ${args.length} were given`);
  let matched = 0;
  const bound = parameters.map(([parameter, byDefault], index) => {
    const given = keywords.get(parameter);
    if (given !== undefined) {
      matched += 1;
      if (index < args.length) throw new TemplateError(`${name}() got two values for ${parameter}`);
      return given;
    }
    const value = index < args.length ? args[index] : byDefault;
    if (value === undefined) throw new TemplateError(`${name}() needs a value for ${parameter}`);
    return value;
  });
  if (matched < keywords.size) {
    const unknown = [...keywords.keys()].find((keyword) => !parameters.some(([parameter]) => parameter === keyword));
    throw new TemplateError(`${name}() has no parameter ${unknown}`);
  }
  return bound;
}

/** A function for templates, whose arguments are bound before it is called. */
export const callable = (name: string, parameters: readonly Parameter[], body: (...values: Value[]) => Value): Callable =>
  new Callable(name, (args, keywords) => body(...bind(name, parameters, args, keywords)));

/** @throws TemplateError if the value is no string */
export function asText(value: Value): string {
  const text = textOf(value);
  if (text !== null) return text;
  if (value instanceof Undefined) value.fail();
  throw new TemplateError(`it uses a ${typeName(value)} where a string is needed`);
}

/** None means that the argument is not given. */
export const asTextOrNull = (value: Value): string | null => (value === null ? null : asText(value));
