import { Readable } from 'node:stream';
import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { binary } from '../http/openapi/answers.ts';
import type { Services } from '../services.ts';
import { FileDeleted, FileList, FileObject, FileParams, FileQuery, FileUpload, fileView, MAX_FILE_BYTES } from './schema.ts';
import type { StoredFile } from './store.ts';
import { removeUnused } from './sweep.ts';
import { receiveUpload, type UploadPart } from './upload.ts';

const tags = ['Files'];
/** The limit of most file systems. */
const MAX_FILENAME_LENGTH = 255;

/** `/v1/files` */
export const fileRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { files, objectStore } = services;
  await app.register(multipart, { limits: { fileSize: MAX_FILE_BYTES, files: 2, fields: 10 }, throwFileSizeLimit: false });

  const find = async ({ project }: Principal, id: string): Promise<StoredFile> => {
    const file = await files.find(project, id);
    if (file === null) throw new Refusal('file_not_found', `There is no file "${id}"`, { param: 'file_id', hint: 'GET /v1/files lists them.' });
    return file;
  };

  app.post(
    '/files',
    {
      schema: {
        tags,
        operationId: 'createFile',
        summary: 'Upload a dataset',
        description: 'multipart/form-data with `file` (JSONL, one example per line, at most 512 MB) and `purpose` (`fine-tune`).',
        response: { 200: FileObject },
      },
      config: { multipart: FileUpload },
    },
    async (request) => fileView(await receiveUpload(request.principal, uploadParts(request), services)),
  );

  app.get(
    '/files',
    { schema: { tags, operationId: 'listFiles', summary: 'List files', querystring: FileQuery, response: { 200: FileList } } },
    async ({ principal, query }) => {
      const { data, hasMore } = await files.list(principal.project, query);
      return { object: 'list' as const, data: data.map(fileView), has_more: hasMore };
    },
  );

  app.get(
    '/files/:file_id',
    { schema: { tags, operationId: 'retrieveFile', summary: 'Retrieve a file', params: FileParams, response: { 200: FileObject } } },
    async ({ principal, params }) => fileView(await find(principal, params.file_id)),
  );

  app.get(
    '/files/:file_id/content',
    {
      schema: {
        tags,
        operationId: 'downloadFile',
        summary: "Download a file's content",
        params: FileParams,
        response: { 200: binary('application/octet-stream', 'The content, byte for byte.') },
      },
    },
    async ({ principal, params }, reply) => {
      const file = await find(principal, params.file_id);
      const content: Readable = await objectStore.get(file.storageKey);
      return reply
        .type('application/octet-stream')
        .header('content-length', file.sizeBytes)
        .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`)
        .send(content);
    },
  );

  app.delete(
    '/files/:file_id',
    {
      schema: {
        tags,
        operationId: 'deleteFile',
        summary: 'Delete a file',
        description: 'A job that already uses the file still finishes. Receipts no longer quote the file.',
        params: FileParams,
        response: { 200: FileDeleted },
      },
    },
    async ({ principal, params }) => {
      const file = await find(principal, params.file_id);
      const { id } = file;
      await files.delete(principal.project, id);
      await removeUnused(file, services); // at once if possible; otherwise a sweep does it
      return { id, object: 'file' as const, deleted: true };
    },
  );
};

/** Converts the parts of @fastify/multipart into those that the upload expects. @throws Refusal for a body that is not multipart as its type says */
async function* uploadParts(request: FastifyRequest): AsyncGenerator<UploadPart> {
  const parts = request.parts();
  try {
    for (;;) {
      const { value: part, done } = await parts.next().catch(throwBroken);
      if (done === true) return;
      if (part.type === 'field') yield { type: 'field', name: part.fieldname, value: String(part.value) };
      else
        yield { type: 'file', name: part.fieldname, filename: nameOf(part), content: contentOf(part.file), isTruncated: () => part.file.truncated };
    }
  } finally {
    await parts.return?.(undefined);
  }
}

const contentOf = (file: Readable): Readable =>
  Readable.from(
    (async function* () {
      try {
        yield* file;
      } catch (error) {
        throwBroken(error);
      }
    })(),
    { objectMode: false },
  );

/** The parser's own errors have no status: they say where the body is not as its boundary announces. */
function throwBroken(error: unknown): never {
  if (error instanceof Error && (error as { statusCode?: number }).statusCode === undefined)
    throw new Refusal('invalid_multipart', `The body is not multipart/form-data as its headers say: ${error.message}`, {
      hint: 'Send it with a client that makes the boundary itself, as `curl -F` does, and completely.',
    });
  throw error;
}

/** A name that is too long is cut before, not inside, a character. */
const nameOf = ({ filename }: { filename?: string }): string =>
  (filename || 'upload.jsonl').slice(0, MAX_FILENAME_LENGTH).replace(/[\ud800-\udbff]$/, '');
