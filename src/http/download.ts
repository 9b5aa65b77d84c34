/** Downloads of stored content: whole, in part, or not again. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { Refusal } from '../formats/refusal.ts';
import type { ByteRange } from '../object-store/object-store.ts';
import { parseRange } from './byte-range.ts';
import { binary } from './openapi/answers.ts';

export interface Content {
  filename: string;
  sizeBytes: number;
  /** Hex digest; null where none was recorded, and then there is no ETag. */
  sha256: string | null;
  /** @param range what is wanted of it; default: all */
  open(range?: ByteRange): Promise<Readable>;
}

const HEADERS = {
  etag: 'The SHA-256 of the content, where it was recorded.',
  'repr-digest': 'The same as RFC 9530 writes it.',
  'content-disposition': 'The name of the file.',
};

/** What a route says of a download in its schema. */
export const downloadSchema = {
  headers: Type.Object({
    range: Type.Optional(Type.String({ description: 'One range, as in `bytes=0-1023`.', examples: ['bytes=0-1023'] })),
    'if-range': Type.Optional(
      Type.String({ description: 'The ETag for which the range counts; if the content has another, all of it is the answer.' }),
    ),
    'if-none-match': Type.Optional(Type.String({ description: 'ETags that the client has; if the content has one of them, the answer is 304.' })),
  }),
  response: {
    200: binary('application/octet-stream', 'The content, byte for byte.', HEADERS),
    206: binary('application/octet-stream', 'The range that was asked for.', {
      ...HEADERS,
      'content-range': 'Which bytes these are, and of how many.',
    }),
    304: Type.Null({ description: 'The client has the content.' }),
  },
};

/** @throws Refusal range_not_satisfiable */
export async function sendContent(request: FastifyRequest, reply: FastifyReply, content: Content): Promise<FastifyReply> {
  const { filename, sizeBytes, sha256 } = content;
  const etag = sha256 === null ? null : `"${sha256}"`;
  const { range: wanted, 'if-range': onlyFor, 'if-none-match': had } = request.headers;
  if (etag !== null) reply.header('etag', etag);
  if (etag !== null && matches(had, etag)) return reply.status(304).send();
  // Without an ETag nothing can be compared: a client that asks for it gets all.
  const range = onlyFor === undefined || onlyFor === etag ? parseRange(wanted, sizeBytes) : null;
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${sizeBytes}`);
    throw new Refusal('range_not_satisfiable', `The content has ${sizeBytes} bytes; the range "${wanted}" has none of them`, { param: 'range' });
  }
  // The framework would read all of a stream to answer HEAD.
  const body = request.method === 'HEAD' ? Readable.from([]) : await content.open(range ?? undefined);
  reply.type('application/octet-stream').headers({
    'accept-ranges': 'bytes',
    'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`,
    'content-length': range === null ? sizeBytes : range.end - range.start + 1,
  });
  if (sha256 !== null) reply.header('repr-digest', `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`);
  if (range !== null) reply.status(206).header('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`);
  return reply.send(body);
}

/** If-None-Match compares weakly (RFC 9110, section 13.1.2). */
const matches = (header: string | undefined, etag: string): boolean =>
  header?.trim() === '*' || (header ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
