/** Downloads that continue where they stopped, and are what the service has, by their hash. */
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import { hashFile } from '../../src/formats/hashing.ts';
import { Failure } from '../exit-code.ts';
import { isPassing } from '../reported.ts';
import type { Service } from '../service.ts';

/** A connection that is cut so often in a row is not tried again. */
const MAX_TRIES = 6;
const RETRY_AFTER_MS = 500;

export interface Downloaded {
  path: string;
  bytes: number;
  /** Hex; as the service says, and as the file has. */
  sha256: string;
  /** Whether the file was there already. */
  wasThere: boolean;
}

/**
 * Downloads a content with an ETag, which is its SHA-256, to `target`. What has arrived is kept beside it until it is whole.
 * @param path of the API, without `/v1`
 * @throws APIError, or Failure if what arrived has another hash
 */
export async function download(
  path: string,
  target: string,
  { service, onProgress }: { service: Service; onProgress(received: number, total: number): void },
): Promise<Downloaded> {
  const head = await service.fetch(path, { method: 'HEAD' });
  const total = Number(head.headers.get('content-length'));
  const etag = head.headers.get('etag');
  const sha256 = etag?.replaceAll('"', '') ?? '';
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Failure(`The service gives no hash for ${path}, so a download could not be checked`);
  const found = { path: target, bytes: total, sha256 };
  if ((await sizeOf(target)) === total && (await hashFile(target)) === sha256) return { ...found, wasThere: true };
  await mkdir(dirname(target), { recursive: true });
  // Named for its content: what is left of another one is never continued.
  const partial = `${target}.${sha256.slice(0, 12)}.part`;
  for (let tries = 1; (await sizeOf(partial)) < total || total === 0; tries++) {
    const before = await sizeOf(partial);
    try {
      await receive(path, partial, { service, etag: etag!, onProgress: (received) => onProgress(received, total) });
      if (total === 0) break;
    } catch (error) {
      if ((await sizeOf(partial)) > before) tries = 1;
      if (!(isPassing(error) || isCutOff(error)) || tries >= MAX_TRIES) throw error;
      await delay(RETRY_AFTER_MS * tries);
    }
  }
  if ((await hashFile(partial)) !== sha256) {
    await rm(partial);
    throw new Failure(`What arrived of ${path} has another hash than the service says`, { hint: 'It was removed; download it again.' });
  }
  await rename(partial, target);
  return { ...found, wasThere: false };
}

interface Receiving {
  service: Service;
  etag: string;
  onProgress(received: number): void;
}

async function receive(path: string, partial: string, { service, etag, onProgress }: Receiving): Promise<void> {
  const from = await sizeOf(partial);
  const response = await service.fetch(path, from > 0 ? { headers: { range: `bytes=${from}-`, 'if-range': etag } } : {});
  const isRest = response.status === 206;
  let received = isRest ? from : 0;
  const counted = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      received += chunk.length;
      onProgress(received);
      yield chunk;
    }
  };
  await pipeline(Readable.fromWeb(response.body as ReadableStream), counted, createWriteStream(partial, { flags: isRest ? 'a' : 'w' }));
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** undici ends the body of a connection that was cut with an error of its own. */
const isCutOff = (error: unknown): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException)?.code ?? '');
