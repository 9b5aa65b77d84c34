import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { FORMAT_BYTES, foreignFormat } from '../formats/foreign-format.ts';
import { hashed } from '../formats/hashing.ts';
import { Refusal } from '../formats/refusal.ts';
import { newFileId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { MAX_EXPIRY_SECONDS, MAX_FILE_BYTES, MIN_EXPIRY_SECONDS } from './schema.ts';
import type { StoredFile } from './store.ts';

/** A part of a multipart body, in the order of arrival. */
export type UploadPart =
  | { type: 'field'; name: string; value: string }
  /** Once the content has been read, `isTruncated` returns whether the file exceeded the size limit. */
  | { type: 'file'; name: string; filename: string; content: Readable; isTruncated(): boolean };

interface Stored {
  id: string;
  filename: string;
  storageKey: string;
  sizeBytes: number;
  sha256: string;
  /** What the content is if it is not text in UTF-8, and what to do. */
  problem: string | null;
}

/**
 * The file may arrive before the fields that decide whether it is accepted, so it is stored first and checked afterwards.
 * A refused upload leaves nothing behind. A file in another format or encoding gets the status `error`, as OpenAI's do, and its details say what to do.
 * @throws Refusal
 */
export async function receiveUpload(
  { project }: Principal,
  parts: AsyncIterable<UploadPart>,
  { config, files, objectStore }: Pick<Services, 'config' | 'files' | 'objectStore'>,
): Promise<StoredFile> {
  const stored: Stored[] = [];
  try {
    const fields = new Map<string, string>();
    for await (const part of parts) {
      if (part.type === 'field') fields.set(part.name, part.value);
      else stored.push(await store(part, objectStore));
    }
    const [file, second] = stored;
    if (file === undefined)
      throw new Refusal('missing_required_parameter', 'file is missing', {
        param: 'file',
        hint: 'Send the dataset as the multipart field "file".',
      });
    if (second !== undefined)
      throw new Refusal('invalid_value', 'The upload has more than one file', { param: 'file', hint: 'Upload each file separately.' });
    if (file.sizeBytes === 0) throw new Refusal('invalid_value', `The file ${file.filename} is empty`, { param: 'file' });
    const { purpose, expiresAt } = checkFields(fields, config.retention.filesDays);
    const { problem, ...content } = file;
    const status = problem === null ? {} : { status: 'error' as const, statusDetails: problem };
    return await files.create(project, { ...content, ...status, purpose, ...(expiresAt && { expiresAt }) });
  } catch (error) {
    for (const { storageKey } of stored) await objectStore.delete(storageKey);
    throw error;
  }
}

async function store(part: Extract<UploadPart, { type: 'file' }>, objectStore: Services['objectStore']): Promise<Stored> {
  if (part.name !== 'file')
    throw new Refusal('unknown_parameter', `${part.name} is not a known field`, { param: part.name, hint: 'Send the dataset as the field "file".' });
  const id = newFileId();
  const storageKey = keys.file(id);
  const hash = createHash('sha256');
  let start = Buffer.alloc(0);
  async function* withinLimit() {
    for await (const chunk of hashed(part.content as AsyncIterable<Buffer>, hash)) {
      if (start.length < FORMAT_BYTES) start = Buffer.concat([start, chunk.subarray(0, FORMAT_BYTES)]);
      yield chunk;
    }
    if (part.isTruncated())
      throw new Refusal('file_too_large', `The file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MB`, {
        param: 'file',
        hint: 'Split the dataset.',
      });
  }
  const { sizeBytes } = await objectStore.put(storageKey, Readable.from(withinLimit(), { objectMode: false }));
  const foreign = foreignFormat(start);
  const problem = foreign && `The file ${foreign.is}. ${foreign.hint}`;
  return { id, filename: part.filename, storageKey, sizeBytes, sha256: hash.digest('hex'), problem };
}

const DAY_SECONDS = 24 * 3600;

/** @param keptDays how long the operator keeps files; null: for ever */
function checkFields(fields: Map<string, string>, keptDays: number | null): { purpose: 'fine-tune'; expiresAt?: Date } {
  const known = ['purpose', 'expires_after[anchor]', 'expires_after[seconds]'];
  for (const name of fields.keys()) {
    if (!known.includes(name))
      throw new Refusal('unknown_parameter', `${name} is not a known field`, { param: name, hint: `Known fields: file, ${known.join(', ')}.` });
  }
  const purpose = fields.get('purpose');
  if (purpose === undefined)
    throw new Refusal('missing_required_parameter', 'purpose is missing', { param: 'purpose', hint: 'Use "fine-tune" for a dataset.' });
  if (purpose !== 'fine-tune') throw new Refusal('invalid_value', `purpose is "${purpose}"; it must be "fine-tune"`, { param: 'purpose' });

  const [anchor, text] = [fields.get('expires_after[anchor]'), fields.get('expires_after[seconds]')];
  const keptSeconds = keptDays === null ? Infinity : keptDays * DAY_SECONDS;
  if (anchor === undefined && text === undefined) return { purpose, ...(keptDays !== null && { expiresAt: inSeconds(keptSeconds) }) };
  if (anchor !== 'created_at') throw new Refusal('invalid_value', 'expires_after[anchor] must be "created_at"', { param: 'expires_after.anchor' });
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < MIN_EXPIRY_SECONDS || seconds > MAX_EXPIRY_SECONDS) {
    throw new Refusal(
      'invalid_value',
      `expires_after[seconds] is "${text}"; it must be a whole number from ${MIN_EXPIRY_SECONDS} to ${MAX_EXPIRY_SECONDS}`,
      {
        param: 'expires_after.seconds',
      },
    );
  }
  return { purpose, expiresAt: inSeconds(Math.min(seconds, keptSeconds)) };
}

const inSeconds = (seconds: number): Date => new Date(Date.now() + seconds * 1000);
