import { Ajv, type ErrorObject } from 'ajv';
import addFormats from 'ajv-formats';
import type { Static, TSchema } from 'typebox';
import { Refusal } from '../formats/refusal.ts';
import { cut, shown } from '../formats/shown.ts';

/** Errors looked at for each rule of a schema: a body can break one rule 100,000 times, and a message names few. */
const ERRORS_PER_RULE = 10;
/** Problems that a message names. */
const MAX_NAMED = 10;

const options = { allErrors: true, verbose: true, removeAdditional: false, useDefaults: true, strict: false } as const;
/** Bodies are taken literally: "8" is not 8, and nothing is stripped. */
const bodyAjv = new Ajv({ ...options, coerceTypes: false, useDefaults: false });
/** Queries and paths are text: their numbers have to be parsed. */
const textAjv = new Ajv({ ...options, coerceTypes: true });
for (const ajv of [bodyAjv, textAjv]) (addFormats as unknown as (ajv: Ajv) => void)(ajv);

/** Compiles what validates a part of a request: its body, its query or its path. */
export const compileSchema = ({ schema, httpPart }: { schema: object; httpPart?: string }) =>
  (httpPart === 'body' ? bodyAjv : textAjv).compile(schema);

/** For what is a request's body, and did not come as one. @returns what returns the body, or throws the Refusal that the request would get */
export function bodyParser<T extends TSchema>(schema: T): (body: unknown) => Static<T> {
  let isValid: ReturnType<typeof compileSchema> | undefined;
  return (body) => {
    isValid ??= bodyAjv.compile(schema);
    if (!isValid(body)) throw validationError(isValid.errors ?? []);
    return body as Static<T>;
  };
}

/** Turns Ajv's errors into one refusal that names the field at fault and mentions any others. */
export function validationError(errors: ErrorObject[]): Refusal {
  const considered = firstOfEachRule(errors);
  const [first, ...others] = leaves(considered).map(describe);
  const more = [...new Set(others.map(({ message }) => message))].filter((message) => message !== first!.message);
  const isCut = considered.length < errors.length || more.length >= MAX_NAMED;
  const also = `${more.slice(0, MAX_NAMED - 1).join('; ')}${isCut ? '; and others' : ''}`;
  const message = more.length === 0 ? first!.message : `${first!.message}. Also: ${also}`;
  return new Refusal(first!.code, message, { ...(first!.param && { param: first!.param }), ...(first!.hint && { hint: first!.hint }) });
}

/** The first errors of each rule, so that what follows takes no longer for a body with 100,000 mistakes. */
function firstOfEachRule(errors: ErrorObject[]): ErrorObject[] {
  const seen = new Map<string, number>();
  return errors.filter(({ schemaPath }) => {
    const count = (seen.get(schemaPath) ?? 0) + 1;
    seen.set(schemaPath, count);
    return count <= ERRORS_PER_RULE;
  });
}

/**
 * Ajv reports errors for every alternative of a union. Keeps only those of the alternative that the user meant, or the
 * union's own error if no alternative was meant.
 */
function leaves(errors: ErrorObject[]): ErrorObject[] {
  const unions = errors.filter((error) => error.keyword === 'anyOf').sort((a, b) => a.schemaPath.length - b.schemaPath.length);
  const [union] = unions;
  if (union === undefined) return errors;
  const inside = errors.filter((error) => error !== union && error.schemaPath.startsWith(`${union.schemaPath}/`));
  const outside = errors.filter((error) => error !== union && !inside.includes(error));
  const alternatives = (union.schema as object[]).map((_, index) =>
    inside.filter((error) => error.schemaPath.startsWith(`${union.schemaPath}/${index}/`)),
  );
  const meant = alternatives.find((alternative) => alternative.length > 0 && !alternative.some((error) => isOtherKind(error, union)));
  const discriminator = inside.filter((error) => error.instancePath === `${union.instancePath}/type` && error.keyword === 'const');
  const missing = inside.find((error) => error.instancePath === union.instancePath && error.params['missingProperty'] === 'type');
  if (!meant && missing) return [...leaves(outside), missing];
  const unionError = discriminator.length > 0 ? { ...union, ...unionOfConsts(discriminator) } : union;
  return [...leaves(outside), ...(meant ? leaves(meant) : [unionError])];
}

/** Whether this error shows that the user meant another alternative of the union. */
function isOtherKind(error: ErrorObject, union: ErrorObject): boolean {
  if (error.instancePath === union.instancePath) {
    return error.keyword === 'type' || error.keyword === 'const' || (error.keyword === 'required' && error.params['missingProperty'] === 'type');
  }
  return error.instancePath === `${union.instancePath}/type` && error.keyword === 'const';
}

/** For a `type` that matches none of the alternatives: `type` is the field at fault. */
const unionOfConsts = (errors: ErrorObject[]) => ({
  instancePath: errors[0]!.instancePath,
  data: errors[0]!.data,
  schema: errors.map((error) => ({ const: error.schema })),
});

const EMPTY_HINT = { hint: 'Give it a value, or leave it out if it is optional.' };

interface Described {
  code: string;
  param: string;
  message: string;
  hint?: string;
}

function describe(error: ErrorObject): Described {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer);
  const param = cut(path.join('.'));
  // An item of a list is called by its list: `event_types.0`.
  const name = cut(path.slice(/^\d+$/.test(path.at(-1) ?? '') ? -2 : -1).join('.') || 'The body');
  const invalid = (message: string): Described => ({ code: 'invalid_value', param, message });
  const value = shown(error.data);
  const { params } = error;
  switch (error.keyword) {
    case 'additionalProperties': {
      const unknown = cut([...path, params['additionalProperty']].join('.'));
      const known = Object.keys((error.parentSchema?.['properties'] as object) ?? {});
      const hint = known.length === 0 ? undefined : `Known fields: ${known.join(', ')}.`;
      return { code: 'unknown_parameter', param: unknown, message: `${unknown} is unknown or not supported yet`, ...(hint && { hint }) };
    }
    case 'required': {
      const missing = [...path, params['missingProperty']].join('.');
      return { code: 'missing_required_parameter', param: missing, message: `${missing} is missing` };
    }
    case 'type':
      return { code: 'invalid_type', param, message: `${name} is ${value}; it must be ${accepted(error.parentSchema)}` };
    case 'anyOf':
      return invalid(`${name} is ${value}; it must be ${(error.schema as object[]).map(accepted).join(' or ')}`);
    case 'const':
      return invalid(`${name} is ${value}; it must be ${accepted(error.parentSchema)}`);
    case 'maximum':
      return invalid(`${name} is ${value}; the largest is ${params['limit']}`);
    case 'minimum':
      return invalid(`${name} is ${value}; the smallest is ${params['limit']}`);
    case 'exclusiveMinimum':
      return invalid(`${name} is ${value}; it must be more than ${params['limit']}`);
    case 'exclusiveMaximum':
      return invalid(`${name} is ${value}; it must be less than ${params['limit']}`);
    case 'minLength':
      return {
        ...invalid(error.data === '' ? `${name} is empty` : `${name} is ${value}; it needs ${params['limit']} characters or more`),
        ...EMPTY_HINT,
      };
    case 'maxLength':
      return invalid(`${name} has ${String(error.data).length} characters; the limit is ${params['limit']}`);
    case 'maxItems':
      return invalid(`${name} has ${(error.data as unknown[]).length} items; the limit is ${params['limit']}`);
    case 'maxProperties':
      return invalid(`${name} has ${Object.keys(error.data as object).length} pairs; the limit is ${params['limit']}`);
    default:
      return invalid(`${name} ${error.message ?? 'is wrong'}`);
  }
}

/** What a schema accepts, in words: `"auto"`, `a whole number from 1 to 50`. */
function accepted(schema: object | undefined): string {
  const {
    const: only,
    type,
    minimum,
    maximum,
    anyOf,
  } = (schema ?? {}) as { const?: unknown; type?: string; minimum?: number; maximum?: number; anyOf?: object[] };
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf) return anyOf.map(accepted).join(' or ');
  const range = minimum === undefined ? '' : maximum === undefined ? ` from ${minimum}` : ` from ${minimum} to ${maximum}`;
  if (type === 'integer') return `a whole number${range}`;
  if (type === 'array') return 'a list';
  if (type === 'object') return 'an object';
  if (type === 'null') return 'null';
  return type === undefined ? 'something else' : `a ${type}${range}`;
}

const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');
