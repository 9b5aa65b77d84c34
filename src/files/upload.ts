import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Principal } from '../accounts/principal.ts';
import { hashed } from '../formats/hashing.ts';
import { Refusal } from '../formats/refusal.ts';
import { COLUMN_TARGETS, type ColumnMapping, FILE_FORMATS, isFileFormat, MAX_COLUMN_LENGTH, type TableSource } from '../formats/table-source.ts';
import type { BodyPart } from '../http/multipart.ts';
import { newFileId } from '../ids.ts';
import { keys } from '../object-store/keys.ts';
import type { Services } from '../services.ts';
import { fileTimes, MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS } from './expiry.ts';
import { isUploadPurpose, statusAtFirst, UPLOAD_PURPOSES, type UploadPurpose } from './purpose.ts';
import { FileUpload, MAX_FILE_BYTES } from './schema.ts';
import type { StoredFile } from './store.ts';
import { checkSource } from './table-upload.ts';

interface Stored {
  id: string;
  filename: string;
  storageKey: string;
  sizeBytes: number;
  sha256: string;
}

/**
 * The file may arrive before the fields that decide whether it is accepted, so it is stored first and checked afterwards.
 * A refused upload leaves nothing behind. A dataset is judged afterwards, by the validator.
 * @throws Refusal
 */
export async function receiveUpload(
  { project }: Principal,
  parts: AsyncIterable<BodyPart>,
  { config, files, validator, objectStore }: Pick<Services, 'config' | 'files' | 'validator' | 'objectStore'>,
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
    const { purpose, expiresAfterSeconds, source } = checkFields(fields, file.filename);
    const times = fileTimes(expiresAfterSeconds, config.retention.filesDays);
    const created = await files.create(project, { ...file, purpose, status: statusAtFirst(purpose), source, ...times });
    validator.wake();
    return created;
  } catch (error) {
    for (const { storageKey } of stored) await objectStore.delete(storageKey);
    throw error;
  }
}

async function store(part: Extract<BodyPart, { type: 'file' }>, objectStore: Services['objectStore']): Promise<Stored> {
  if (part.name !== 'file')
    throw new Refusal('unknown_parameter', `${part.name} is not a known field`, { param: part.name, hint: 'Send the dataset as the field "file".' });
  const id = newFileId();
  const storageKey = keys.file(id);
  const hash = createHash('sha256');
  async function* withinLimit() {
    yield* hashed(part.content as AsyncIterable<Buffer>, hash);
    if (part.isTruncated())
      throw new Refusal('file_too_large', `The file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MB`, {
        param: 'file',
        hint: 'Send larger files in parts, to POST /v1/uploads.',
      });
  }
  const { sizeBytes } = await objectStore.put(storageKey, Readable.from(withinLimit(), { objectMode: false }));
  return { id, filename: part.filename, storageKey, sizeBytes, sha256: hash.digest('hex') };
}

const FIELDS = Object.keys(FileUpload.properties).filter((name) => name !== 'file');

interface Fields {
  purpose: UploadPurpose;
  expiresAfterSeconds: number | null;
  source: TableSource;
}

function checkFields(fields: Map<string, string>, filename: string): Fields {
  for (const name of fields.keys()) {
    if (!FIELDS.includes(name))
      throw new Refusal('unknown_parameter', `${name} is not a known field`, { param: name, hint: `Known fields: file, ${FIELDS.join(', ')}.` });
  }
  for (const [name, value] of fields) if (value === '') fields.delete(name); // what a form's user left blank
  const purpose = fields.get('purpose');
  if (purpose === undefined)
    throw new Refusal('missing_required_parameter', 'purpose is missing', { param: 'purpose', hint: 'Use "fine-tune" for a dataset.' });
  if (!isUploadPurpose(purpose))
    throw new Refusal('invalid_value', `purpose is "${purpose}"; it must be one of ${UPLOAD_PURPOSES.join(', ')}`, {
      param: 'purpose',
      hint: 'Use "fine-tune" for a dataset.',
    });

  const source = tableSource(fields);
  checkSource(source, { purpose, filename });
  const [anchor, text] = [fields.get('expires_after[anchor]'), fields.get('expires_after[seconds]')];
  if (anchor === undefined && text === undefined) return { purpose, expiresAfterSeconds: null, source };
  if (anchor !== 'created_at') throw new Refusal('invalid_value', 'expires_after[anchor] must be "created_at"', { param: 'expires_after.anchor' });
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < MIN_EXPIRY_SECONDS || seconds > MAX_EXPIRY_SECONDS) {
    throw new Refusal(
      'invalid_value',
      `expires_after[seconds] is "${text}"; it must be a whole number from ${MIN_EXPIRY_SECONDS} to ${MAX_EXPIRY_SECONDS}`,
      { param: 'expires_after.seconds' },
    );
  }
  return { purpose, expiresAfterSeconds: seconds, source };
}

function tableSource(fields: Map<string, string>): TableSource {
  const format = fields.get('format');
  if (format !== undefined && !isFileFormat(format))
    throw new Refusal('invalid_value', `format is "${format}"; it must be ${FILE_FORMATS.join(', ')}`, { param: 'format' });
  const mapping: ColumnMapping = {};
  for (const target of COLUMN_TARGETS) {
    const column = fields.get(`mapping[${target}]`);
    if (column === undefined) continue;
    if (column.length > MAX_COLUMN_LENGTH)
      throw new Refusal('invalid_value', `mapping[${target}] must be the name of a column, of 1 to ${MAX_COLUMN_LENGTH} characters`, {
        param: `mapping.${target}`,
      });
    mapping[target] = column;
  }
  return { ...(format !== undefined && { format }), ...(Object.keys(mapping).length > 0 && { mapping }) };
}
