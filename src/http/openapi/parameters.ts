import { isObject, type JsonObject, operationsOf } from './rewrite.ts';

/** In the schema of a query parameter: the object whose pairs a client sends as `name[key]=value`. */
export const PAIRS = 'x-pairs';

/** Describes a parameter of pairs in OpenAPI's own way, and as optional what has a default. */
export function describeParameters(document: JsonObject): JsonObject {
  for (const { operation } of operationsOf(document)) {
    const parameters = operation['parameters'] as JsonObject[] | undefined;
    if (parameters === undefined) continue;
    operation['parameters'] = parameters.map((parameter) => {
      const schema = parameter['schema'];
      if (!isObject(schema)) return parameter;
      if (schema[PAIRS] !== undefined) return { ...parameter, style: 'deepObject', explode: true, schema: schema[PAIRS] };
      return schema['default'] === undefined ? parameter : { ...parameter, required: false };
    });
  }
  return document;
}
