import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { fileTimes } from '../files/expiry.ts';
import { statusAtFirst } from '../files/purpose.ts';
import type { StoredFile } from '../files/store.ts';
import { hashed } from '../formats/hashing.ts';
import { Refusal } from '../formats/refusal.ts';
import { newFileId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import { ObjectNotFound } from '../object-store/object-store.ts';
import type { Services } from '../services.ts';
import { requirePending } from './find.ts';
import type { CompleteUpload } from './schema.ts';
import type { Upload, UploadPart } from './store.ts';
import { removeParts } from './sweep.ts';

type Needs = Pick<Services, 'config' | 'uploads' | 'files' | 'validator' | 'objectStore' | 'log'>;

export interface Completed {
  upload: Upload;
  /** null once it has been deleted. */
  file: StoredFile | null;
}

/**
 * Makes a file of an upload's parts, which are streamed into one object. The same request may come again, also while the first is at work: each makes
 * an object of its own, one of them becomes the file, and all get that one.
 * @throws Refusal
 */
export async function completeUpload(upload: Upload, { part_ids: partIds, md5 }: CompleteUpload, services: Needs): Promise<Completed> {
  const { config, uploads, objectStore } = services;
  if (upload.status === 'completed') return completedBefore(upload, partIds, services);
  requirePending(upload);
  const parts = chosenParts(upload, partIds, await uploads.parts(upload.owner, upload.id));
  const id = newFileId();
  const storageKey = keys.file(id);
  try {
    const sha256 = await assemble(upload, parts, { storageKey, md5, objectStore });
    const { filename, purpose, sizeBytes, source } = upload;
    const times = fileTimes(upload.fileExpiresSeconds, config.retention.filesDays);
    const content = { id, storageKey, sizeBytes, sha256 };
    const file = await uploads.complete(upload, {
      partIds,
      file: { ...content, filename, purpose, status: statusAtFirst(purpose), source, ...times },
    });
    if (file === null) throw new EndedMeanwhile();
    services.validator.wake();
    await removeParts(upload.id, services);
    return { upload: { ...upload, status: 'completed', fileId: id, partIds }, file };
  } catch (error) {
    // After any other error the completion may have been recorded. An object that no row names is swept.
    if (!(error instanceof Refusal || error instanceof EndedMeanwhile || error instanceof ObjectNotFound)) throw error;
    await objectStore.delete(storageKey);
    if (error instanceof Refusal) throw error;
    return endedMeanwhile(upload, partIds, services);
  }
}

/** Another request has completed or cancelled the upload. */
class EndedMeanwhile extends Error {}

async function endedMeanwhile({ owner, id }: Upload, partIds: string[], services: Needs): Promise<Completed> {
  const now = await services.uploads.find(owner, id);
  if (now?.status === 'completed') return completedBefore(now, partIds, services);
  throw new Refusal('upload_ended', `The upload ${id} ended while it was being completed`, { hint: 'POST /v1/uploads begins a new one.' });
}

async function completedBefore(upload: Upload, partIds: string[], { files }: Needs): Promise<Completed> {
  if (partIds.join() !== upload.partIds.join())
    throw new Refusal('upload_ended', `The upload ${upload.id} was completed with other parts`, {
      param: 'part_ids',
      hint: `It became the file ${upload.fileId}. POST /v1/uploads begins a new upload.`,
    });
  return { upload, file: await files.find(upload.owner, upload.fileId!) };
}

function chosenParts({ id, sizeBytes }: Upload, partIds: string[], parts: UploadPart[]): UploadPart[] {
  const refusal = (message: string, hint: string) => new Refusal('invalid_value', message, { param: 'part_ids', hint });
  const byId = new Map(parts.map((part) => [part.id, part]));
  const named = new Set<string>();
  const chosen = partIds.map((partId, index) => {
    const part = byId.get(partId);
    if (part === undefined)
      throw refusal(`part_ids[${index}] is "${partId}", which is no part of ${id}`, `GET /v1/uploads/${id}/parts lists its parts.`);
    if (named.has(partId)) throw refusal(`part_ids has "${partId}" twice`, 'Name each part once, in the order of the file.');
    named.add(partId);
    return part;
  });
  const sum = chosen.reduce((total, part) => total + part.sizeBytes, 0);
  if (sum !== sizeBytes)
    throw refusal(`The parts have ${sum} bytes together; the upload was created for ${sizeBytes}`, 'Name every part once, in the order of the file.');
  return chosen;
}

interface Assembly {
  storageKey: string;
  md5: string | undefined;
  objectStore: Services['objectStore'];
}

/** @returns the sha256 of the whole. @throws Refusal if its md5 is another one, ObjectNotFound if a part is gone */
async function assemble(upload: Upload, parts: UploadPart[], { storageKey, md5, objectStore }: Assembly): Promise<string> {
  const [sha256, ofWhole] = [createHash('sha256'), createHash('md5')];
  async function* content(): AsyncGenerator<Buffer> {
    for (const part of parts) yield* (await objectStore.get(keys.uploadPart(upload.id, part.id))) as AsyncIterable<Buffer>;
  }
  const bytes = hashed(md5 === undefined ? content() : hashed(content(), ofWhole), sha256);
  const { sizeBytes } = await objectStore.put(storageKey, Readable.from(bytes, { objectMode: false }));
  if (sizeBytes !== upload.sizeBytes) throw new Error(`The parts of ${upload.id} gave ${sizeBytes} bytes, not ${upload.sizeBytes}`);
  if (md5 !== undefined) {
    const found = ofWhole.digest('hex');
    if (found !== md5.toLowerCase())
      throw new Refusal('invalid_checksum', `The parts in this order have the md5 ${found}, not ${md5}`, {
        param: 'md5',
        hint: 'Check the order of part_ids, or send the parts again. The upload is still open.',
      });
  }
  return sha256.digest('hex');
}
