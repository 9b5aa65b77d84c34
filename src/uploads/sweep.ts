import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';

const HOUR_MS = 3_600_000;
/** How long an upload accepts parts, as OpenAI's does. */
export const UPLOAD_LIFETIME_MS = HOUR_MS;
/** For how long an expired upload keeps its parts: a completion that began in time reads them, at most this long. */
const COMPLETION_MS = HOUR_MS;
/** For how long a repeated request finds the upload, as with idempotency keys. */
const REMEMBERED_MS = 24 * HOUR_MS;

type Needs = Pick<Services, 'uploads' | 'objectStore' | 'log'>;

/** Uploads that expired before this have lost their parts. */
export const abandonedBefore = (): Date => new Date(Date.now() - COMPLETION_MS);

/** Removes the parts of uploads that have ended or expired, and later the uploads themselves. */
export async function sweepUploads(services: Needs): Promise<void> {
  const { uploads } = services;
  for (const id of await uploads.findLeft(abandonedBefore())) await removeParts(id, services);
  await uploads.forget(new Date(Date.now() - REMEMBERED_MS));
}

/** Removes the parts of an upload that has ended. If that fails now, the sweep tries again. */
export async function removeParts(uploadId: string, { uploads, objectStore, log }: Needs): Promise<void> {
  try {
    await objectStore.deletePrefix(keys.upload(uploadId));
    await uploads.forgetParts(uploadId);
  } catch (error) {
    log.warn({ err: error, uploadId }, 'the parts of an upload could not be removed yet');
  }
}
