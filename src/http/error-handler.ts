import type { ErrorObject } from 'ajv';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../formats/refusal.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import { errorBody, statusOf } from './statuses.ts';
import { validationError } from './validation.ts';

/** Whatever was thrown → the contract's error object. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = asRefusal(error);
  const status = statusOf(refusal);
  if (status >= 500) request.log.error({ err: error }, 'a request failed');
  return reply.status(status).type('application/json; charset=utf-8').send(errorBody(refusal));
}

export function handleNotFound(request: FastifyRequest): never {
  const path = request.url.split('?')[0];
  throw new Refusal('not_found', `There is no ${request.method} ${path}`, { hint: 'The routes are listed at /docs.' });
}

/** Fastify's own errors, by its codes. */
const FRAMEWORK: Readonly<Record<string, () => Refusal>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new Refusal('body_too_large', 'The body is larger than 1 MiB', { hint: 'Datasets go to POST /v1/files.' }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new Refusal('unsupported_media_type', 'The body has a content type that this route does not take', {
      hint: 'Send application/json; files as multipart/form-data.',
    }),
  FST_INVALID_MULTIPART_CONTENT_TYPE: () =>
    new Refusal('unsupported_media_type', 'An upload is multipart/form-data', { hint: 'Send the fields file and purpose, as `curl -F` does.' }),
};

function asRefusal(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof ObjectNotFound) return new Refusal('file_not_found', 'Its content is no longer in the storage');
  const error = thrown as FastifyError;
  if (error.validation) return validationError(error.validation as ErrorObject[]);
  const known = FRAMEWORK[error.code];
  if (known) return known();
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return new Refusal('invalid_request', error.message);
  return new Refusal('internal_error', 'Something went wrong in the service', { hint: "Its log has the details under this request's id." });
}
