import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { REQUEST_ID_HEADER } from './request-id.ts';

/** How long a browser remembers what it may send; the longest that any of them allows. */
const MAX_AGE_S = 7_200;
/** Of the answers' headers, those that the official clients and downloads read. */
const EXPOSED = [REQUEST_ID_HEADER, 'retry-after', 'etag', 'content-range', 'content-disposition', 'idempotent-replayed', 'x-should-retry'];
const RATE_LIMITS = ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-requests`);

/** Lets pages of these origins call the service; `*`: pages of all. None by default: a key does not belong in a page that somebody else serves. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposedHeaders: [...EXPOSED, ...RATE_LIMITS],
    maxAge: MAX_AGE_S,
  });
}
