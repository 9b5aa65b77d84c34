/** The JSON Schemas that answers can be held to. What the grammar would ignore is refused, so that an answer conforms to all of its schema. */
import { isRecord } from '../formats/record.ts';
import { Refusal } from '../formats/refusal.ts';

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];
/** Say something to people alone. */
const ANNOTATIONS = ['title', 'description', 'default', 'examples', '$schema', '$id', '$comment'];
const KEYWORDS = ['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'const', 'anyOf', '$ref', '$defs', 'definitions'];
/** Each makes the grammar larger: 50 are compiled in a second, in which the process answers nobody else. */
const MAX_PROPERTIES = 50;
/** Schemas inside of the schema. */
const MAX_PARTS = 500;
const MAX_LENGTH = 64 * 1024;
/** As at OpenAI. */
const MAX_ENUM_VALUES = 1_000;
/** As at OpenAI. */
const MAX_DEPTH = 10;
const REFERENCE = /^#(?:\/(?:\$defs|definitions)\/[^/]+)?$/;

interface Walk {
  root: Record<string, unknown>;
  isStrict: boolean;
  parts: number;
  properties: number;
  values: number;
}

/** @throws Refusal */
export function requireSchema(root: object, { param, isStrict }: { param: string; isStrict: boolean }): void {
  const schema = root as Record<string, unknown>;
  if (schema['type'] !== 'object') throw wrong('must be of the type "object"', param, 'Put another type inside of a property.');
  if (JSON.stringify(schema).length > MAX_LENGTH) throw wrong(`has more than ${MAX_LENGTH} characters`, param);
  const walk: Walk = { root: schema, isStrict, parts: 0, properties: 0, values: 0 };
  visit(schema, param, { walk, depth: 0 });
}

function visit(schema: unknown, param: string, { walk, depth }: { walk: Walk; depth: number }): void {
  if (!isRecord(schema)) throw wrong('must be an object', param);
  if (depth > MAX_DEPTH) throw wrong(`is nested deeper than ${MAX_DEPTH}`, param);
  walk.parts += 1;
  if (walk.parts > MAX_PARTS) throw wrong(`has more than ${MAX_PARTS} parts`, param);
  const unknown = Object.keys(schema).find((key) => !KEYWORDS.includes(key) && !ANNOTATIONS.includes(key));
  if (unknown !== undefined) throw wrong(`has the keyword "${unknown}", which answers cannot be held to`, param, `Use ${KEYWORDS.join(', ')}.`);
  const { type, properties, items, anyOf } = schema;
  if (type !== undefined && !(Array.isArray(type) && type.length > 0 ? type : [type]).every((name) => TYPES.includes(name as string)))
    throw wrong('is of no type that JSON has', `${param}.type`, `Use ${TYPES.join(', ')}.`);
  requireValues(schema, param, walk);
  requireReference(schema, param, walk);
  const inside = { walk, depth: depth + 1 };
  if (properties !== undefined) {
    if (!isRecord(properties)) throw wrong('must be an object', `${param}.properties`);
    walk.properties += Object.keys(properties).length;
    if (walk.properties > MAX_PROPERTIES) throw wrong(`has more than ${MAX_PROPERTIES} properties in all`, param);
    // The grammar takes a quote in a name for the name's end.
    const quoted = Object.keys(properties).find((name) => JSON.stringify(name) !== `"${name}"`);
    if (quoted !== undefined) throw wrong('has a name with a quote, a backslash or a control character', `${param}.properties`);
    for (const [name, property] of Object.entries(properties)) visit(property, `${param}.properties.${name}`, inside);
  }
  requireKeys(schema, param, walk);
  if (type === 'array' && items === undefined) throw wrong('needs items', param, 'Say what the list holds.');
  if (items !== undefined) visit(items, `${param}.items`, inside);
  if (anyOf !== undefined) {
    if (!Array.isArray(anyOf) || anyOf.length === 0) throw wrong('must be a list of schemas', `${param}.anyOf`);
    for (const [index, option] of anyOf.entries()) visit(option, `${param}.anyOf.${index}`, inside);
  }
  for (const key of ['$defs', 'definitions']) {
    const definitions = schema[key];
    if (definitions === undefined) continue;
    if (!isRecord(definitions)) throw wrong('must be an object', `${param}.${key}`);
    for (const [name, definition] of Object.entries(definitions)) visit(definition, `${param}.${key}.${name}`, inside);
  }
}

function requireValues({ enum: values }: Record<string, unknown>, param: string, walk: Walk): void {
  if (values === undefined) return;
  if (!Array.isArray(values) || values.length === 0) throw wrong('must be a list of values', `${param}.enum`);
  walk.values += values.length;
  if (walk.values > MAX_ENUM_VALUES) throw wrong(`has more than ${MAX_ENUM_VALUES} values in all`, `${param}.enum`);
}

function requireKeys(
  { type, properties = {}, required = [], additionalProperties: more }: Record<string, unknown>,
  param: string,
  { isStrict }: Walk,
): void {
  const names = Object.keys(properties as object);
  if (!Array.isArray(required) || !required.every((name) => names.includes(name as string)))
    throw wrong('must be a list of the properties', `${param}.required`);
  if (more !== undefined && typeof more !== 'boolean') throw wrong('must be true or false', `${param}.additionalProperties`);
  if (type !== 'object') return;
  if (names.length === 0 && more === undefined) throw wrong('needs properties, or "additionalProperties": true', param);
  if (!isStrict) return;
  const optional = names.find((name) => !required.includes(name));
  if (optional !== undefined) throw wrong(`must list "${optional}", as "strict" wants all properties`, `${param}.required`, 'Leave out strict.');
  if (more !== false) throw wrong('must be false, as "strict" wants it', `${param}.additionalProperties`, 'Leave out strict.');
}

/** One that leads to nothing, or to itself without a property or an item between, has no end. */
function requireReference(schema: Record<string, unknown>, param: string, { root }: Walk): void {
  const open = new Set<unknown>();
  const done = new Set<unknown>();
  const follow = (at: unknown): void => {
    if (!isRecord(at) || done.has(at)) return;
    if (open.has(at)) throw wrong('refers to itself without an end', `${param}.$ref`);
    open.add(at);
    if (at['$ref'] !== undefined) follow(targetOf(at['$ref'], root, param));
    for (const option of Array.isArray(at['anyOf']) ? at['anyOf'] : []) follow(option);
    open.delete(at);
    done.add(at);
  };
  follow(schema);
}

function targetOf(reference: unknown, root: Record<string, unknown>, param: string): unknown {
  if (typeof reference !== 'string' || !REFERENCE.test(reference))
    throw wrong('is no reference to a definition', `${param}.$ref`, 'Write "#/$defs/NAME", or "#" for the whole.');
  const target = reference
    .split('/')
    .slice(1)
    .reduce<unknown>((inside, key) => (isRecord(inside) ? inside[key] : undefined), root);
  if (target === undefined) throw wrong(`refers to "${reference}", which the schema does not define`, `${param}.$ref`);
  return target;
}

const wrong = (problem: string, param: string, hint?: string): Refusal =>
  new Refusal('invalid_value', `The schema at ${param} ${problem}`, { param, ...(hint !== undefined && { hint }) });
