import type { Operation } from './environment.ts';
import { bind, type Parameter } from './signature.ts';
import type { Value } from './values.ts';

/** A filter whose arguments are bound to parameters before it runs. */
export const filter = (
  name: string,
  parameters: readonly Parameter[],
  body: (value: Value, ...args: Value[]) => Value,
): [string, Operation<Value>] => [name, (value, args, keywords) => body(value, ...bind(`the filter ${name}`, parameters, args, keywords))];
