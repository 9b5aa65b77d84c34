import Type from 'typebox';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, limit, listOf } from '../http/list-schema.ts';
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
    purpose: Type.String(),
    status: Type.String({ description: 'uploaded, processed, or error: the content is in another format than JSON Lines in UTF-8' }),
    expires_at: Type.Optional(Type.Integer()),
    status_details: Type.Optional(Type.String({ description: 'For an error, what the content is and what to do.' })),
  },
  { title: 'File' },
);

export const FileList = listOf(FileObject);

export const FileDeleted = Type.Object({ id: Type.String(), object: Type.Literal('file'), deleted: Type.Boolean() });

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
