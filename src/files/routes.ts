import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { downloadSchema, sendContent } from '../http/download.ts';
import { multipartParts } from '../http/multipart.ts';
import type { Services } from '../services.ts';
import { contentName, FileDeleted, FileList, FileObject, FileParams, FileQuery, FileUpload, fileView, MAX_FILE_BYTES } from './schema.ts';
import type { StoredFile } from './store.ts';
import { removeUnused } from './sweep.ts';
import { receiveUpload } from './upload.ts';
import { FileValidation, validationView } from './validation-schema.ts';

const tags = ['Files'];
/** More than there are. */
const MAX_FIELDS = 20;

/** `/v1/files` */
export const fileRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { files, objectStore, quotas } = services;
  await app.register(multipart, { limits: { fileSize: MAX_FILE_BYTES, files: 2, fields: MAX_FIELDS }, throwFileSizeLimit: false });

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
        description:
          'multipart/form-data with `file` and `purpose`. A dataset (`fine-tune`) is JSON Lines, one example a line, or a table in CSV or Parquet, which becomes JSON Lines; it is `uploaded` until it has been read.',
        response: { 200: FileObject },
      },
      config: { multipart: FileUpload },
    },
    async (request) => {
      await quotas.requireRoomForFile(request.principal.project, 0);
      return fileView(await receiveUpload(request.principal, multipartParts(request, 'upload.jsonl'), services));
    },
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
        ...downloadSchema,
      },
    },
    async (request, reply) => {
      const file = await find(request.principal, request.params.file_id);
      const { sizeBytes, sha256, storageKey } = file;
      return sendContent(request, reply, {
        filename: contentName(file),
        sizeBytes,
        sha256,
        open: (range) => objectStore.get(storageKey, range),
      }) as never;
    },
  );

  app.get(
    '/files/:file_id/validation',
    {
      schema: {
        tags,
        operationId: 'retrieveFileValidation',
        summary: "Retrieve a dataset's validation",
        description:
          'Counts, and the first hundred problems: where each is, and what to do. Until the file has been read, its status is `uploaded` and the counts are null.',
        params: FileParams,
        response: { 200: FileValidation },
      },
    },
    async ({ principal, params }) => {
      const file = await find(principal, params.file_id);
      return validationView(file, await services.validations.find(principal.project, file.id));
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
