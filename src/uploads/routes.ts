import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { checkSource } from '../files/table-upload.ts';
import { Refusal } from '../formats/refusal.ts';
import { multipartParts } from '../http/multipart.ts';
import { newUploadId } from '../ids.ts';
import type { Services } from '../services.ts';
import { completeUpload } from './complete.ts';
import { findUpload } from './find.ts';
import { receivePart } from './parts.ts';
import {
  CompleteUpload,
  CreateUpload,
  MAX_PART_BYTES,
  PartList,
  PartObject,
  partView,
  UploadObject,
  UploadParams,
  UploadPartBody,
  uploadView,
} from './schema.ts';
import { statusNow } from './store.ts';
import { removeParts, UPLOAD_LIFETIME_MS } from './sweep.ts';

const tags = ['Uploads'];

/** `/v1/uploads`: files that arrive in parts */
export const uploadRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { uploads, files, quotas } = services;
  await app.register(multipart, { limits: { fileSize: MAX_PART_BYTES, files: 2, fields: 10 }, throwFileSizeLimit: false });
  const found = ({ principal, params }: FastifyRequest) => findUpload(principal, (params as { upload_id: string }).upload_id, services);

  app.post(
    '/uploads',
    {
      schema: {
        tags,
        summary: 'Begin an upload in parts',
        description: 'For files of up to 8 GB. It accepts parts for an hour.',
        operationId: 'createUpload',
        body: CreateUpload,
        response: { 200: UploadObject },
      },
    },
    async ({ principal, body }) => {
      const { bytes: sizeBytes, filename, mime_type: mimeType, purpose, expires_after, format, mapping } = body;
      const source = { ...(format && { format }), ...(mapping && { mapping }) };
      checkSource(source, { purpose, filename });
      await quotas.requireRoomForFile(principal.project, sizeBytes);
      const createdAt = new Date();
      const expiresAt = new Date(createdAt.getTime() + UPLOAD_LIFETIME_MS);
      const fileExpiresSeconds = expires_after?.seconds ?? null;
      const upload = { id: newUploadId(), filename, mimeType, purpose, sizeBytes, fileExpiresSeconds, source, createdAt, expiresAt };
      return uploadView(await uploads.create(principal.project, upload), null);
    },
  );

  app.get(
    '/uploads/:upload_id',
    {
      schema: {
        tags,
        summary: 'Retrieve an upload',
        operationId: 'retrieveUpload',
        params: UploadParams,
        response: { 200: UploadObject },
      },
    },
    async (request) => {
      const upload = await found(request);
      return uploadView(upload, upload.fileId === null ? null : await files.find(upload.owner, upload.fileId));
    },
  );

  app.get(
    '/uploads/:upload_id/parts',
    {
      schema: {
        tags,
        summary: 'List the parts of an upload',
        description: 'In the order of their arrival: what a client that was interrupted need not send again.',
        operationId: 'listUploadParts',
        params: UploadParams,
        response: { 200: PartList },
      },
    },
    async (request) => {
      const { owner, id } = await found(request);
      return { object: 'list' as const, data: (await uploads.parts(owner, id)).map(partView), has_more: false };
    },
  );

  app.post(
    '/uploads/:upload_id/parts',
    {
      schema: {
        tags,
        summary: 'Add a part to an upload',
        description: 'multipart/form-data with `data`, at most 64 MB. Parts may be sent at the same time and in any order.',
        operationId: 'addUploadPart',
        params: UploadParams,
        response: { 200: PartObject },
      },
      config: { multipart: UploadPartBody },
    },
    async (request) => partView(await receivePart(await found(request), multipartParts(request, 'part'), services)),
  );

  app.post(
    '/uploads/:upload_id/complete',
    {
      schema: {
        tags,
        summary: 'Complete an upload',
        description: 'Makes a file of the parts, in the order of `part_ids`. The same request again gets the same file.',
        operationId: 'completeUpload',
        params: UploadParams,
        body: CompleteUpload,
        response: { 200: UploadObject },
      },
    },
    async (request) => {
      const { upload, file } = await completeUpload(await found(request), request.body, services);
      return uploadView(upload, file);
    },
  );

  app.post(
    '/uploads/:upload_id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel an upload',
        description: 'Removes its parts.',
        operationId: 'cancelUpload',
        params: UploadParams,
        response: { 200: UploadObject },
      },
    },
    async (request) => {
      const upload = await found(request);
      if ((await uploads.cancel(upload)) || upload.status === 'cancelled') {
        await removeParts(upload.id, services);
        return uploadView({ ...upload, status: 'cancelled' }, null);
      }
      throw new Refusal('upload_ended', `The upload ${upload.id} is ${statusNow(await found(request))} and cannot be cancelled`, {
        hint: 'DELETE /v1/files/{id} removes the file that it became.',
      });
    },
  );
};
