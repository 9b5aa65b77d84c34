import { isDeepStrictEqual } from 'node:util';
import { type Json, type JsonObject, rewrite } from './rewrite.ts';

/** Such a title names a component; others are prose. */
const NAME = /^[A-Z][A-Za-z0-9]+$/;
/** What may differ where a component is used: it stands beside the reference. */
const ANNOTATIONS = ['description', 'deprecated', 'default', 'example', 'examples'];

/**
 * Moves each schema that has a name to `components.schemas`, once.
 * @throws Error where two shapes have one name
 */
export function nameComponents(document: JsonObject): JsonObject {
  const schemas: JsonObject = {};
  const paths = rewrite(document['paths']!, (schema) => {
    const name = schema['title'];
    if (typeof name !== 'string' || !NAME.test(name)) return schema;
    const known = schemas[name];
    if (known === undefined) {
      schemas[name] = schema;
    } else if (!isDeepStrictEqual(split(known as JsonObject).shape, split(schema).shape)) {
      throw new Error(`Two schemas of different shape have the title ${name}: give one of them another`);
    }
    const annotations = Object.entries(split(schema).annotations).filter(
      ([key, value]) => !isDeepStrictEqual((schemas[name] as JsonObject)[key], value),
    );
    return { $ref: `#/components/schemas/${name}`, ...Object.fromEntries(annotations) };
  });
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...document, paths, components: { ...(document['components'] as JsonObject), schemas: sorted } };
}

function split(schema: JsonObject): { shape: JsonObject; annotations: JsonObject } {
  const isAnnotation = ([key]: [string, Json]) => ANNOTATIONS.includes(key);
  const entries = Object.entries(schema);
  return {
    shape: Object.fromEntries(entries.filter((entry) => !isAnnotation(entry))),
    annotations: Object.fromEntries(entries.filter(isAnnotation)),
  };
}
