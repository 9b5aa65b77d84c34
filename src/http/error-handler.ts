import type { ErrorObject } from 'ajv';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { InputError } from '../formats/input-error.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import { ServiceError } from './errors.ts';
import { validationError } from './validation.ts';

/** Whatever was thrown → the contract's error object. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = asServiceError(error);
  if (refusal.status >= 500) request.log.error({ err: error }, 'a request failed');
  return reply.status(refusal.status).type('application/json; charset=utf-8').send(refusal.body);
}

export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?')[0];
  const refusal = new ServiceError('not_found', `There is no ${request.method} ${path}`, { hint: 'The routes are listed at /docs.' });
  return reply.status(refusal.status).send(refusal.body);
}

const framework: Record<string, (error: FastifyError) => ServiceError> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new ServiceError('body_too_large', 'The body is larger than 1 MiB', { hint: 'Datasets go to POST /v1/files.' }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new ServiceError('unsupported_media_type', 'The body has a content type that this route does not take', {
      hint: 'Send application/json; files as multipart/form-data.',
    }),
  FST_INVALID_MULTIPART_CONTENT_TYPE: () =>
    new ServiceError('unsupported_media_type', 'An upload is multipart/form-data', { hint: 'Send the fields file and purpose, as `curl -F` does.' }),
};

function asServiceError(thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  if (thrown instanceof InputError) return ServiceError.from(thrown);
  if (thrown instanceof ObjectNotFound) return new ServiceError('file_not_found', 'Its content is no longer in the storage');
  const error = thrown as FastifyError;
  if (error.validation) return validationError(error.validation as ErrorObject[]);
  const known = framework[error.code];
  if (known) return known(error);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return new ServiceError('invalid_request', error.message);
  return new ServiceError('internal_error', 'Something went wrong in the service', { hint: "Its log has the details under this request's id." });
}
