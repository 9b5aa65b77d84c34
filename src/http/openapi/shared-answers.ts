import type { RouteOptions } from 'fastify';
import { ErrorResponse } from '../list-schema.ts';
import { type JsonObject, operationsOf } from './rewrite.ts';

/** An `onRoute` hook: every route may refuse a request, and fail. */
export function addErrorAnswers(route: RouteOptions): void {
  const response = route.schema?.response;
  if (route.schema === undefined || response === undefined) return;
  route.schema = { ...route.schema, response: { '4xx': ErrorResponse, '5xx': ErrorResponse, ...response } };
}

const refused = { description: 'The request was refused: what is wrong, where, and what to do.', content: jsonOf('ErrorResponse') };
const failed = {
  description: 'The service could not answer. The same request may succeed later: after `retry-after` seconds where the answer has that header.',
  content: jsonOf('ErrorResponse'),
};

/** Refers to one description of a refusal and of a failure instead of repeating it, and describes what has no description. */
export function addSharedAnswers(document: JsonObject): JsonObject {
  const reference = JSON.stringify(jsonOf('ErrorResponse'));
  for (const { operation } of operationsOf(document)) {
    const responses = operation['responses'] as Record<string, JsonObject>;
    for (const [status, response] of Object.entries(responses)) {
      if (JSON.stringify(response['content']) === reference)
        responses[status] = { $ref: `#/components/responses/${status.startsWith('5') ? 'Failed' : 'Refused'}` };
      else if (response['description'] === 'Default Response') response['description'] = operation['summary'] ?? 'The answer';
    }
  }
  return { ...document, components: { ...(document['components'] as JsonObject), responses: { Refused: refused, Failed: failed } } };
}

function jsonOf(name: string): JsonObject {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } };
}
