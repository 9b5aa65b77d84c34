import { Readable } from 'node:stream';
import { Refusal } from '../formats/refusal.ts';
import type { BodyPart } from '../http/multipart.ts';
import { newUploadPartId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { requirePending } from './find.ts';
import { MAX_PART_BYTES, MAX_PARTS } from './schema.ts';
import type { Upload, UploadPart } from './store.ts';

/**
 * Stores a part of an upload. A refused one leaves nothing behind.
 * @throws Refusal
 */
export async function receivePart(
  upload: Upload,
  body: AsyncIterable<BodyPart>,
  services: Pick<Services, 'uploads' | 'objectStore'>,
): Promise<UploadPart> {
  const { uploads, objectStore } = services;
  requirePending(upload);
  const received: { id: string; sizeBytes: number }[] = [];
  try {
    for await (const part of body) received.push(await store(upload, part, objectStore));
    const [part, second] = received;
    if (part === undefined)
      throw new Refusal('missing_required_parameter', 'data is missing', { param: 'data', hint: 'Send the bytes as the multipart field "data".' });
    if (second !== undefined)
      throw new Refusal('invalid_value', 'The request has more than one part', { param: 'data', hint: 'Send each part by a request of its own.' });
    if (part.sizeBytes === 0) throw new Refusal('invalid_value', 'The part is empty', { param: 'data' });
    const added = await uploads.addPart(upload, part, { parts: MAX_PARTS, bytes: mostBytes(upload) });
    if (added === 'too many')
      throw new Refusal('too_many_parts', `The upload ${upload.id} has more parts than a file of ${upload.sizeBytes} bytes needs`, {
        hint: 'Complete it with those that it has, or cancel it and begin a new one.',
      });
    if (added === 'ended') throw new Refusal('upload_ended', `The upload ${upload.id} ended while the part arrived`, { hint: 'Begin a new one.' });
    return added;
  } catch (error) {
    for (const { id } of received) await objectStore.delete(keys.uploadPart(upload.id, id));
    throw error;
  }
}

/** A client that lost the answer sends its part again, so that there may be two of each, but a small upload must not fill the store. */
const mostBytes = ({ sizeBytes }: Upload): number => 2 * sizeBytes + MAX_PART_BYTES;

async function store(upload: Upload, part: BodyPart, objectStore: Services['objectStore']): Promise<{ id: string; sizeBytes: number }> {
  if (part.type === 'field' || part.name !== 'data')
    throw new Refusal('unknown_parameter', `${part.name} is not a known file of this request`, {
      param: part.name,
      hint: 'Send the bytes as a file in the multipart field "data".',
    });
  const { content, isTruncated } = part;
  async function* withinLimit() {
    yield* content;
    if (isTruncated())
      throw new Refusal('file_too_large', `The part is larger than ${MAX_PART_BYTES / 1024 ** 2} MB`, { param: 'data', hint: 'Send smaller parts.' });
  }
  const id = newUploadPartId();
  const { sizeBytes } = await objectStore.put(keys.uploadPart(upload.id, id), Readable.from(withinLimit(), { objectMode: false }));
  return { id, sizeBytes };
}
