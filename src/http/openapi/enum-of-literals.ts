import { isObject, type Json, type JsonObject } from './rewrite.ts';

/** A union of literals, as TypeBox writes it, becomes an enum. A union with other members keeps them beside it. */
export function enumOfLiterals(schema: JsonObject): Json {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf)) return schema;
  const literals = anyOf.filter(isLiteral);
  if (literals.length < 2) return schema;
  const type = (literals[0] as JsonObject)['type']!;
  if (literals.some((literal) => literal['type'] !== type)) return schema;
  const merged = { type, enum: literals.flatMap((literal) => literal['enum'] as Json[]) };
  return literals.length === anyOf.length ? { ...rest, ...merged } : { ...rest, anyOf: [merged, ...anyOf.filter((member) => !isLiteral(member))] };
}

/** A constant has become an enum of one value. */
const isLiteral = (schema: Json): schema is JsonObject =>
  isObject(schema) && Array.isArray(schema['enum']) && Object.keys(schema).every((key) => key === 'type' || key === 'enum');
