import type { RouteOptions } from 'fastify';
import { ErrorResponse } from '../list-schema.ts';
import { REQUEST_ID_HEADER } from '../request-id.ts';
import { type JsonObject, operationsOf } from './rewrite.ts';

/** An `onRoute` hook: every route may refuse a request, and fail. */
export function addErrorAnswers(route: RouteOptions): void {
  const response = route.schema?.response;
  if (route.schema === undefined || response === undefined) return;
  route.schema = { ...route.schema, response: { '4xx': ErrorResponse, '5xx': ErrorResponse, ...response } };
}

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const HEADERS: Record<string, { description: string; required?: true; schema: JsonObject }> = {
  [REQUEST_ID_HEADER]: { description: 'Names the request; the log has it as `reqId`.', required: true, schema: text },
  'x-ratelimit-limit-requests': { description: 'Requests a minute that the key has, where it is limited.', schema: count },
  'x-ratelimit-remaining-requests': { description: 'How many of them are left.', schema: count },
  'x-ratelimit-reset-requests': { description: 'When all of them are there again: `1500ms`.', schema: text },
  'retry-after': { description: 'Seconds until the same request may succeed, where that is known.', schema: count },
  'idempotent-replayed': { description: 'The answer is that of an earlier request with the same `Idempotency-Key`.', schema: { const: 'true' } },
  allow: { description: 'With a 405, the methods that there are.', schema: text },
};
const OF_EVERY_ANSWER = [REQUEST_ID_HEADER, 'x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'];

const RESPONSES: JsonObject = {
  Refused: {
    description: 'The request was refused: what is wrong, where, and what to do.',
    headers: headersNamed([...OF_EVERY_ANSWER, 'retry-after', 'allow']),
    content: jsonOf('ErrorResponse'),
  },
  Failed: {
    description: 'The service could not answer. The same request may succeed later.',
    headers: headersNamed([...OF_EVERY_ANSWER, 'retry-after']),
    content: jsonOf('ErrorResponse'),
  },
};

/** Describes a refusal and a failure once, refers to that instead of repeating it, and adds what all other answers have. */
export function addSharedAnswers(document: JsonObject): JsonObject {
  const error = JSON.stringify(jsonOf('ErrorResponse'));
  for (const { path, method, operation } of operationsOf(document)) {
    const responses = operation['responses'] as Record<string, JsonObject>;
    for (const [status, response] of Object.entries(responses)) {
      if (JSON.stringify(response['content']) === error) {
        responses[status] = { $ref: `#/components/responses/${status.startsWith('5') ? 'Failed' : 'Refused'}` };
        continue;
      }
      if (response['description'] === 'Default Response') response['description'] = operation['summary'] ?? 'The answer';
      if (!path.startsWith('/v1/')) continue;
      const shared = headersNamed(method === 'post' ? [...OF_EVERY_ANSWER, 'idempotent-replayed'] : OF_EVERY_ANSWER);
      response['headers'] = { ...(response['headers'] as JsonObject | undefined), ...shared };
    }
  }
  return { ...document, components: { ...(document['components'] as JsonObject), headers: HEADERS, responses: RESPONSES } };
}

function headersNamed(names: string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function jsonOf(name: string): JsonObject {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } };
}
