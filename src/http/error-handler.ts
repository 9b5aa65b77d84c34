import type { ErrorObject } from 'ajv';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../formats/refusal.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import { errorBody, statusOf } from './statuses.ts';
import { validationError } from './validation.ts';

/** For what is away for a moment. The official clients wait as long, and ask twice more. */
const RETRY_AFTER_S = 2;

/** Answers anything that was thrown with the contract's error object. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = isAbandoned(request) ? ABANDONED : asRefusal(error);
  const status = statusOf(refusal);
  if (status === 503 || refusal.code === 'generation_busy') reply.header('retry-after', RETRY_AFTER_S);
  if (status >= 500) request.log[status === 503 ? 'warn' : 'error']({ err: error }, 'a request failed');
  return reply.status(status).type('application/json; charset=utf-8').send(errorBody(refusal));
}

/** The client closed the connection before its body was complete; nobody reads the answer. */
const ABANDONED = new Refusal('request_aborted', 'The connection was closed before the body was complete');
const isAbandoned = ({ raw }: FastifyRequest): boolean => raw.destroyed && !raw.complete;

/** Fastify's own errors, by code. */
const FRAMEWORK_ERRORS: Readonly<Record<string, () => Refusal>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new Refusal('body_too_large', 'The body is larger than 1 MiB', { hint: 'Upload datasets to POST /v1/files.' }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new Refusal('unsupported_media_type', "This route does not accept the body's content type", {
      hint: 'Send application/json, or multipart/form-data for files.',
    }),
  FST_INVALID_MULTIPART_CONTENT_TYPE: () =>
    new Refusal('unsupported_media_type', 'An upload must be multipart/form-data', { hint: 'Send the fields file and purpose, as `curl -F` does.' }),
};

export function asRefusal(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof ObjectNotFound) return new Refusal('file_not_found', "The file's content is no longer in storage");
  const error = thrown as FastifyError;
  if (error.validation) return validationError(error.validation as ErrorObject[]);
  const known = FRAMEWORK_ERRORS[error.code];
  if (known) return known();
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return new Refusal('invalid_request', error.message);
  return new Refusal('internal_error', 'Something went wrong in the service', { hint: "The service's log has the details under this request's id." });
}
