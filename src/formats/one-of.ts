import { Type } from 'typebox';

/** Text that is one of these; for answers, whose texts come from a database. Requests have unions of literals, of which an error names the values. */
export const oneOf = <T extends string>(values: readonly T[], options: Type.TSchemaOptions = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });

/** The same for requests. */
export const literals = <T extends string>(values: readonly T[], options: Type.TSchemaOptions = {}) =>
  Type.Unsafe<T>(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      options,
    ),
  );
