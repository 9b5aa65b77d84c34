import Type from 'typebox';
import { literals, oneOf } from '../formats/one-of.ts';
import { COLUMN_TARGETS, FILE_FORMATS, MAX_COLUMN_LENGTH } from '../formats/table-source.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, limit, listOf } from '../http/list-schema.ts';
import { filePart } from '../http/openapi/multipart.ts';
import { keys } from '../object-store/keys.ts';
import { MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS } from './expiry.ts';
import { UPLOAD_PURPOSES } from './purpose.ts';
import type { StoredFile } from './store.ts';

/** The contract's limit on a single upload. */
export const MAX_FILE_BYTES = 512 * 1024 * 1024;

export const FileObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('file'),
    bytes: Type.Integer(),
    created_at: Type.Integer(),
    filename: Type.String(),
    purpose: oneOf([...UPLOAD_PURPOSES, 'fine-tune-results']),
    status: oneOf(['uploaded', 'processed', 'error'], {
      description: 'A dataset is `uploaded` until it has been read; with `error` no job takes it.',
    }),
    expires_at: Type.Optional(Type.Integer()),
    status_details: Type.Optional(Type.String({ description: 'For an error, the first problem and what to do. GET …/validation has more of them.' })),
  },
  { title: 'File' },
);

const columnOf = (target: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: MAX_COLUMN_LENGTH, description: `The column of a table that becomes "${target}".` }));

export const FileUpload = Type.Object(
  {
    file: filePart('JSON Lines in UTF-8, one example a line, or a table in CSV or Parquet; at most 512 MB.'),
    purpose: literals(UPLOAD_PURPOSES, { description: 'Jobs take `fine-tune` alone.' }),
    'expires_after[anchor]': Type.Optional(Type.Literal('created_at')),
    'expires_after[seconds]': Type.Optional(
      Type.Integer({ minimum: MIN_EXPIRY_SECONDS, maximum: MAX_EXPIRY_SECONDS, description: 'The file is deleted so long after its creation.' }),
    ),
    format: Type.Optional(literals(FILE_FORMATS, { description: 'Default: by the content and the name of the file.' })),
    ...Object.fromEntries(COLUMN_TARGETS.map((target) => [`mapping[${target}]`, columnOf(target)])),
  },
  { title: 'CreateFile' },
);

export const FileList = listOf(FileObject);

export const FileDeleted = Type.Object({ id: Type.String(), object: Type.Literal('file'), deleted: Type.Boolean() }, { title: 'FileDeleted' });

export const FileQuery = Type.Object(
  {
    purpose: Type.Optional(Type.String()),
    order: Type.Union([Type.Literal('asc'), Type.Literal('desc')], { default: 'desc' }),
    after,
    limit: limit(10_000, 10_000),
  },
  { additionalProperties: false },
);

export const FileParams = Type.Object({ file_id: Type.String() });

export const fileView = (file: StoredFile): Type.Static<typeof FileObject> => ({
  id: file.id,
  object: 'file',
  bytes: file.sizeBytes,
  created_at: unixSeconds(file.createdAt),
  filename: file.filename,
  purpose: file.purpose,
  status: file.status,
  ...(file.expiresAt && { expires_at: unixSeconds(file.expiresAt) }),
  ...(file.statusDetails !== null && { status_details: file.statusDetails }),
});

/** The name of what a download gives: a table has become JSON Lines. */
export const contentName = ({ id, filename, storageKey }: StoredFile): string => (isConverted(storageKey, id) ? `${filename}.jsonl` : filename);

const isConverted = (storageKey: string, id: string): boolean => keys.isOfFile(storageKey, id) && storageKey !== keys.file(id);
