import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Instruments } from '../monitoring/instruments.ts';

/** Addresses that no route has are one route here: anyone may send any number of them. */
const NO_ROUTE = 'none';

/** @returns an `onResponse` hook, which also runs when the client has gone */
export function countRequests({ requests, requestSeconds }: Pick<Instruments, 'requests' | 'requestSeconds'>) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { method } = request;
    const route = request.routeOptions.url ?? NO_ROUTE;
    requests.inc({ method, route, status: reply.statusCode });
    requestSeconds.observe({ method, route }, reply.elapsedTime / 1000);
  };
}
