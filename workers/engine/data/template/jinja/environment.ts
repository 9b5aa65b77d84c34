/** The filters and tests by name; those that take the name of another one look it up here. */
import { TemplateError } from './error.ts';
import type { Keywords, Value } from './values.ts';

/** A filter or a test. */
export type Operation<Result> = (value: Value, args: readonly Value[], keywords: Keywords, environment: Environment) => Result;

export interface Environment {
  readonly filters: ReadonlyMap<string, Operation<Value>>;
  readonly tests: ReadonlyMap<string, Operation<boolean>>;
}

/** @throws TemplateError for an unknown name */
export function operation<Result>(kind: 'filter' | 'test', known: ReadonlyMap<string, Operation<Result>>, name: string): Operation<Result> {
  const found = known.get(name);
  if (found === undefined) throw new TemplateError(`no ${kind} is named '${name}'`);
  return found;
}
