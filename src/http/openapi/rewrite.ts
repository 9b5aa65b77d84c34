export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @returns a copy in which every object has been replaced, those inside before those around them */
export function rewrite(value: Json, replace: (object: JsonObject) => Json): Json {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, replace));
  if (!isObject(value)) return value;
  return replace(Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rewrite(inner, replace)])));
}

/** The operations of a document. */
export const operationsOf = (document: JsonObject): { path: string; method: string; operation: JsonObject }[] =>
  Object.entries(document['paths'] as JsonObject).flatMap(([path, methods]) =>
    Object.entries(methods as JsonObject).map(([method, operation]) => ({ path, method, operation: operation as JsonObject })),
  );
