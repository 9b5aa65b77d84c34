import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The official clients show it as `_request_id` and `error.requestID`; the log has it as `reqId`. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** The same on every process that answers for the service. */
export const newRequestId = (): string => `req_${randomUUID().replaceAll('-', '')}`;

/** An `onRequest` hook. */
export async function sendRequestId(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header(REQUEST_ID_HEADER, request.id);
}
