/**
 * Fastify's compilers of schemas, which wait for the first request that needs theirs. All schemas of the API together take two seconds, which a start
 * need not; one takes some milliseconds.
 */
import fastJsonStringify, { type Schema } from 'fast-json-stringify';
import type { FastifyValidationResult } from 'fastify/types/schema.js';
import { compileSchema } from './validation.ts';

/** Compiles what validates a part of a request. */
export function validatorOnFirstUse(route: { schema: object; httpPart?: string }): FastifyValidationResult {
  let compiled: ReturnType<typeof compileSchema> | undefined;
  const validate: FastifyValidationResult = (data) => {
    compiled ??= compileSchema(route);
    const isValid = compiled(data);
    validate.errors = compiled.errors ?? null; // Fastify reads them here
    return isValid;
  };
  return validate;
}

/** Compiles what writes an answer as JSON. */
export function serializerOnFirstUse({ schema }: { schema: unknown }): (data: unknown) => string {
  let compiled: ((data: unknown) => string) | undefined;
  return (data) => {
    compiled ??= fastJsonStringify(schema as Schema);
    return compiled(data);
  };
}
