/** Ends requests whose body arrives too slowly: each holds a connection, and an upload a file. Uploads of any size are received as long as bytes arrive. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../formats/refusal.ts';
import { answerOnSocket } from './bad-requests.ts';

const LOOK_EVERY_MS = 20_000;
/** In that time: a fiftieth of what a mobile phone's slowest connection sends. */
const MIN_BYTES = 4 * 1024;
/** A body that is not an upload has at most BODY_LIMIT_BYTES. */
const WHOLE_BODY_MS = 60_000;

/** An `onRequest` hook. @param options shorter times, for tests */
export const endSlowBodies =
  ({ lookEveryMs = LOOK_EVERY_MS, wholeBodyMs = WHOLE_BODY_MS } = {}) =>
  async ({ id, raw, headers }: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return;
    const { socket } = raw;
    const isUpload = headers['content-type']?.startsWith('multipart/') === true;
    const startedMs = performance.now();
    let seenBytes = socket.bytesRead;

    const timer = setInterval(() => {
      const arrived = socket.bytesRead - seenBytes;
      seenBytes += arrived;
      // Where the service reads slower than the client sends, bytes wait here, and the client is not to blame.
      const isWaitedFor = raw.readableFlowing === true && raw.readableLength === 0;
      const isLate = !isUpload && performance.now() - startedMs >= wholeBodyMs;
      if (isLate || (isWaitedFor && arrived < MIN_BYTES)) end();
    }, lookEveryMs);
    timer.unref();
    const stop = () => clearInterval(timer);
    raw.once('end', stop);
    raw.once('close', stop);
    reply.raw.once('close', stop);

    function end(): void {
      stop();
      if (reply.raw.headersSent) return void socket.destroy();
      const hint = 'Send the body without pauses; an upload may take as long as it needs while its bytes arrive.';
      // The framework's answer would wait for the handler, which waits for the body.
      answerOnSocket(socket, new Refusal('request_timeout', 'The body of the request arrives too slowly', { hint }), id);
    }
  };
