import Type from 'typebox';
import { MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS } from '../files/expiry.ts';
import { UPLOAD_PURPOSES } from '../files/purpose.ts';
import { FileObject, fileView } from '../files/schema.ts';
import type { StoredFile } from '../files/store.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { ColumnMapping, FILE_FORMATS } from '../formats/table-source.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { listOf } from '../http/list-schema.ts';
import { MAX_FILENAME_LENGTH } from '../http/multipart.ts';
import { filePart } from '../http/openapi/multipart.ts';
import { statusNow, type Upload, type UploadPart } from './store.ts';

/** OpenAI's limits. */
export const MAX_UPLOAD_BYTES = 8 * 1024 ** 3;
export const MAX_PART_BYTES = 64 * 1024 ** 2;
/** As many as S3 has for an object; 128 of the largest parts make the largest file. */
export const MAX_PARTS = 10_000;
/** Longer than any registered media type. */
const MAX_MIME_TYPE_LENGTH = 255;

export const CreateUpload = Type.Object(
  {
    bytes: Type.Integer({ minimum: 1, maximum: MAX_UPLOAD_BYTES, description: 'Size of the whole file, which its parts must add up to.' }),
    filename: Type.String({ minLength: 1, maxLength: MAX_FILENAME_LENGTH }),
    mime_type: Type.String({ minLength: 1, maxLength: MAX_MIME_TYPE_LENGTH }),
    purpose: literals(UPLOAD_PURPOSES),
    expires_after: Type.Optional(
      Type.Object(
        { anchor: Type.Literal('created_at'), seconds: Type.Integer({ minimum: MIN_EXPIRY_SECONDS, maximum: MAX_EXPIRY_SECONDS }) },
        { additionalProperties: false, description: 'When the file expires, counted from its completion.' },
      ),
    ),
    format: Type.Optional(literals(FILE_FORMATS, { description: 'Default: by the content and the name of the file.' })),
    mapping: Type.Optional(ColumnMapping),
  },
  {
    title: 'CreateUpload',
    additionalProperties: false,
    examples: [{ bytes: 32, filename: 'train.jsonl', mime_type: 'application/jsonl', purpose: 'fine-tune' }],
  },
);
export type CreateUpload = Type.Static<typeof CreateUpload>;

export const CompleteUpload = Type.Object(
  {
    part_ids: Type.Array(Type.String(), { minItems: 1, maxItems: MAX_PARTS, description: 'The parts in the order of the file.' }),
    md5: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{32}$', description: 'Hex digest of the whole file.' })),
  },
  { title: 'CompleteUpload', additionalProperties: false, examples: [{ part_ids: ['part_abc123'] }] },
);
export type CompleteUpload = Type.Static<typeof CompleteUpload>;

export const UploadObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('upload'),
    bytes: Type.Integer(),
    created_at: Type.Integer(),
    expires_at: Type.Integer({ description: 'When it can no longer be completed.' }),
    filename: Type.String(),
    purpose: oneOf(UPLOAD_PURPOSES),
    status: oneOf(['pending', 'completed', 'cancelled', 'expired']),
    file: Type.Union([FileObject, Type.Null()], { description: 'The file that it became; null before, and once the file has been deleted.' }),
  },
  { title: 'Upload' },
);

export const PartObject = Type.Object(
  { id: Type.String(), object: Type.Literal('upload.part'), bytes: Type.Integer(), created_at: Type.Integer(), upload_id: Type.String() },
  { title: 'UploadPart' },
);

export const PartList = listOf(PartObject);

export const UploadPartBody = Type.Object({ data: filePart('At most 64 MB.') }, { title: 'AddUploadPart' });

export const UploadParams = Type.Object({ upload_id: Type.String() });

export const uploadView = (upload: Upload, file: StoredFile | null): Type.Static<typeof UploadObject> => ({
  id: upload.id,
  object: 'upload',
  bytes: upload.sizeBytes,
  created_at: unixSeconds(upload.createdAt),
  expires_at: unixSeconds(upload.expiresAt),
  filename: upload.filename,
  purpose: upload.purpose,
  status: statusNow(upload),
  file: file && fileView(file),
});

export const partView = (part: UploadPart): Type.Static<typeof PartObject> => ({
  id: part.id,
  object: 'upload.part',
  bytes: part.sizeBytes,
  created_at: unixSeconds(part.createdAt),
  upload_id: part.uploadId,
});
