import type { FastifyReply, FastifyRequest } from 'fastify';

/** Answers are data for the one who asked: no page may run, frame or guess the type of them, and nobody keeps them. /docs has its own policy for scripts. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** An `onRequest` hook. */
export async function setSecurityHeaders(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.headers(HEADERS);
}
