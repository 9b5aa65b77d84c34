import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { Refusal } from '../formats/refusal.ts';

/** A part of a multipart body, in the order of arrival. */
export type BodyPart =
  | { type: 'field'; name: string; value: string }
  /** Once the content has been read, `isTruncated` returns whether the file exceeded the size limit. */
  | { type: 'file'; name: string; filename: string; content: Readable; isTruncated(): boolean };

/** The limit of most file systems. */
export const MAX_FILENAME_LENGTH = 255;

/** How often a parser that reads nothing is looked at; after two such looks in a row it is given up. */
const LOOK_EVERY_MS = 1_000;

/**
 * Converts the parts of @fastify/multipart. The content of a file is read before the next part is asked for.
 * @param unnamed the name of a file that has none
 * @throws Refusal for a body that is not multipart as its type says
 */
export async function* multipartParts(request: FastifyRequest, unnamed: string): AsyncGenerator<BodyPart> {
  const parts = request.parts();
  let isStuck = false;
  try {
    for (;;) {
      const next = parts.next().catch(throwBroken);
      const stuck = untilStuck(request.raw);
      const reached = await Promise.race([next, stuck.reached]).finally(stuck.stop);
      isStuck = reached === null;
      if (reached === null) throwBroken(new Error('a part of it cannot be read'));
      const { value: part, done } = reached;
      if (done === true) return;
      if (part.type === 'field') yield { type: 'field', name: part.fieldname, value: String(part.value) };
      else {
        const filename = shortened(part.filename || unnamed);
        yield { type: 'file', name: part.fieldname, filename, content: contentOf(part.file), isTruncated: () => part.file.truncated };
      }
    }
  } finally {
    const returned = parts.return?.(undefined);
    // One that is stuck never returns.
    if (isStuck) request.raw.unpipe().resume();
    else await returned;
  }
}

/**
 * After a long part that it leaves out, because its headers are broken, busboy may wait for ever: its buffer counts as full, and nobody empties it. Nothing else
 * holds up the body while the next part is waited for.
 */
function untilStuck(body: Readable): { reached: Promise<null>; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const reached = new Promise<null>((resolve) => {
    let wasPaused = false;
    timer = setInterval(() => {
      const isPaused = body.isPaused();
      if (isPaused && wasPaused) resolve(null);
      wasPaused = isPaused;
    }, LOOK_EVERY_MS);
  });
  return { reached, stop: () => clearInterval(timer) };
}

const contentOf = (file: Readable): Readable =>
  Readable.from(
    (async function* () {
      try {
        yield* file;
      } catch (error) {
        throwBroken(error);
      }
    })(),
    { objectMode: false },
  );

/** The parser's own errors have no status: they say where the body is not as its boundary announces. */
function throwBroken(error: unknown): never {
  if (error instanceof Error && (error as { statusCode?: number }).statusCode === undefined)
    throw new Refusal('invalid_multipart', `The body is not multipart/form-data as its headers say: ${error.message}`, {
      hint: 'Send it with a client that makes the boundary itself, as `curl -F` does, and completely.',
    });
  throw error;
}

/** A name that is too long is cut before, not inside, a character. */
const shortened = (filename: string): string => filename.slice(0, MAX_FILENAME_LENGTH).replace(/[\ud800-\udbff]$/, '');
