/** Answers what is not HTTP, or too much of it, which never becomes a request. */
import type { Socket } from 'node:net';
import { Refusal } from '../formats/refusal.ts';
import { newRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { errorBody, statusOf } from './statuses.ts';

const REASONS: Readonly<Record<number, string>> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' };

/** Node's `clientError`. A client that has gone away is no error. */
export function answerBadRequest(error: NodeJS.ErrnoException & { reason?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || !socket.writable) return void socket.destroy();
  const refusal = refusalOf(error);
  answerOnSocket(socket, refusal, newRequestId());
}

/** Past the framework: for a request that it does not know, or no longer waits for. */
export function answerOnSocket(socket: Socket, refusal: Refusal, requestId: string): void {
  const status = statusOf(refusal);
  const body = JSON.stringify(errorBody(refusal));
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'connection: close',
    'content-type: application/json; charset=utf-8',
    'cache-control: no-store',
    `${REQUEST_ID_HEADER}: ${requestId}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

function refusalOf({ code, message, reason }: NodeJS.ErrnoException & { reason?: string }): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Refusal('headers_too_large', 'The headers and the address of the request are larger than 16 KiB', {
      hint: 'Send long values in the body.',
    });
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Refusal('request_timeout', 'The headers of the request arrive too slowly');
  return new Refusal('invalid_request', `The request is not HTTP/1.1: ${reason ?? message}`, {
    hint: 'Is it sent to http://, without TLS? A proxy in front of the service adds https.',
  });
}
