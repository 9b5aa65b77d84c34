import { setMaxListeners } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import Type from 'typebox';
import { type From, MAX_FOLLOWERS } from '../event-streams/stream.ts';
import { after, limit } from './list-schema.ts';

/** Of a list of events that can also be followed. */
export const EventQuery = Type.Object(
  { after, limit: limit(20), stream: Type.Optional(Type.Boolean({ description: 'Stream server-sent events, starting after Last-Event-ID.' })) },
  { additionalProperties: false },
);

/** @returns aborted when the service stops, which would otherwise wait for the streams that are open */
export function endOfService(app: Pick<FastifyInstance, 'addHook'>): AbortSignal {
  const closing = new AbortController();
  setMaxListeners(MAX_FOLLOWERS, closing.signal);
  app.addHook('preClose', async () => closing.abort());
  return closing.signal;
}

/** The event that a stream continues after: the query's, or the one that a reader had last before its connection was lost. */
export function startOfStream(query: { after?: string }, headers: IncomingHttpHeaders): From['after'] {
  if (query.after !== undefined) return { id: query.after, param: 'after' };
  const last = headers['last-event-id'];
  return typeof last === 'string' ? { id: last, param: 'last-event-id' } : null;
}

export const sendEvents = (reply: FastifyReply, stream: Readable) =>
  reply
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(stream as never); // the schema's 200 describes the list
