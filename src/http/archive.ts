/** Several stored objects as one download: a tar or a zip, neither compressed, because weights do not shrink. None of the objects is held in memory. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { makeZip } from 'client-zip';
import type { FastifyReply } from 'fastify';
import { type Pack, pack } from 'tar-stream';
import Type from 'typebox';
import { hashed } from '../formats/hashing.ts';
import { literals } from '../formats/one-of.ts';
import type { Services } from '../services.ts';

type Needs = Pick<Services, 'objectStore' | 'log'>;

const MEDIA_TYPES = { tar: 'application/x-tar', zip: 'application/zip' } as const;
type ArchiveFormat = keyof typeof MEDIA_TYPES;

export const ArchiveQuery = Type.Object(
  { format: Type.Optional(literals(['tar', 'zip'], { default: 'tar', description: 'What the files are packed as.' })) },
  { additionalProperties: false },
);

const bytes = { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) };
export const archive = { description: 'The files, packed.', content: { 'application/x-tar': bytes, 'application/zip': bytes } };

interface StoredObject {
  /** Path in the archive, with `/` as separator. */
  name: string;
  key: string;
  sizeBytes: number;
  /** Hex; null where nothing was recorded. */
  sha256: string | null;
}

interface Packed {
  /** Of the download, without its extension. */
  name: string;
  format?: ArchiveFormat | undefined;
  objects: StoredObject[];
}

/** A failure midway, or content that is not what was written, cuts the answer off. */
export function sendArchive(reply: FastifyReply, { name, format = 'tar', objects }: Packed, { objectStore, log }: Needs): FastifyReply {
  const stream = { tar: tarOf, zip: zipOf }[format](objects, objectStore);
  stream.on('error', (error: unknown) => log.error({ err: error }, 'sending an archive failed midway'));
  return reply.type(MEDIA_TYPES[format]).header('content-disposition', `attachment; filename="${name}.${format}"`).send(stream);
}

/** The same files give the same bytes. */
const NO_TIME = new Date('1980-01-01T00:00:00');

function tarOf(objects: StoredObject[], objectStore: Needs['objectStore']): Pack {
  const tar = pack();
  const write = async () => {
    for (const object of objects) {
      const { name, sizeBytes: size } = object;
      await pipeline(checked(object, objectStore), tar.entry({ name, size, mtime: new Date(0) }));
    }
    tar.finalize();
  };
  write().catch((error: unknown) => tar.destroy(error as Error));
  return tar;
}

function zipOf(objects: StoredObject[], objectStore: Needs['objectStore']): Readable {
  // Each entry is opened when the one before has been read.
  const entries = objects.map((object) => ({
    name: object.name,
    size: object.sizeBytes,
    lastModified: NO_TIME,
    input: checked(object, objectStore) as AsyncIterable<Uint8Array<ArrayBuffer>>,
  }));
  return Readable.fromWeb(makeZip(entries) as ReadableStream<Uint8Array>);
}

/** @throws Error at the end of content that is not what was recorded */
async function* checked({ key, sha256 }: StoredObject, objectStore: Needs['objectStore']): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  yield* hashed<Uint8Array>(await objectStore.get(key), hash);
  const found = hash.digest('hex');
  if (sha256 !== null && found !== sha256) throw new Error(`"${key}" has other content than was written: sha256 ${found}, not ${sha256}`);
}
