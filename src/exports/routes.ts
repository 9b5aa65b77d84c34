import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Refusal } from '../formats/refusal.ts';
import { ArchiveQuery, archive, sendArchive } from '../http/archive.ts';
import { downloadSchema, sendContent } from '../http/download.ts';
import { EventQuery, endOfService, sendEvents, startOfStream } from '../http/event-stream.ts';
import { cursorList, listOf } from '../http/list-schema.ts';
import { orEventStream } from '../http/openapi/answers.ts';
import type { Services } from '../services.ts';
import { cancelExport, createExport, deleteExport, exportObjects, findExport } from './exports.ts';
import { followExport } from './follow.ts';
import {
  CreateExport,
  ExportDeleted,
  ExportEventObject,
  ExportFileParams,
  ExportList,
  ExportObject,
  ExportParams,
  ExportQuery,
  exportEventView,
  exportView,
} from './schema.ts';

const tags = ['Exports'];
const params = ExportParams;
const EventList = listOf(ExportEventObject);

/** `/v1/exports`: tuned models in the formats of other programs */
export const exportRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const signal = endOfService(app);
  app.post(
    '/exports',
    {
      schema: {
        tags,
        operationId: 'createExport',
        summary: 'Export a tuned model',
        description: 'A worker that has the base model makes it. Follow its events, or poll it, until it has ended; then download its files.',
        body: CreateExport,
        response: { 200: ExportObject },
      },
    },
    async (request) => {
      const created = await createExport(request.principal, request.body, services);
      request.log.info({ exportId: created.id, model: created.model, format: created.format }, 'export created');
      return exportView(created);
    },
  );

  app.get(
    '/exports',
    {
      schema: {
        tags,
        operationId: 'listExports',
        summary: 'List exports',
        description: 'Newest first.',
        querystring: ExportQuery,
        response: { 200: ExportList },
      },
    },
    async ({ principal, query }) => cursorList(await services.exports.list(principal.project, query), exportView),
  );

  app.get(
    '/exports/:export_id',
    { schema: { tags, operationId: 'retrieveExport', summary: 'Retrieve an export', params, response: { 200: ExportObject } } },
    async ({ principal, params: { export_id: id } }) => exportView(await findExport(principal, id, services)),
  );

  app.post(
    '/exports/:export_id/cancel',
    { schema: { tags, operationId: 'cancelExport', summary: 'Cancel an export', params, response: { 200: ExportObject } } },
    async ({ principal, params: { export_id: id } }) => exportView(await cancelExport(principal, id, services)),
  );

  app.get(
    '/exports/:export_id/events',
    {
      schema: {
        tags,
        operationId: 'listExportEvents',
        summary: "List an export's events",
        params,
        querystring: EventQuery,
        response: {
          200: orEventStream(EventList, {
            description: 'The newest events first; or, with `stream=true`, all as they happen, the oldest first.',
            item: ExportEventObject,
          }),
        },
      },
    },
    async ({ principal, params: { export_id }, query, headers }, reply) => {
      const { id } = await findExport(principal, export_id, services);
      if (query.stream === true)
        return sendEvents(reply, await followExport(principal, id, services, { after: startOfStream(query, headers), signal }));
      const { data, hasMore } = await services.exportRecord.events(principal.project, id, query);
      return { object: 'list' as const, data: data.map(exportEventView), has_more: hasMore };
    },
  );

  app.delete(
    '/exports/:export_id',
    { schema: { tags, operationId: 'deleteExport', summary: 'Delete an export with its files', params, response: { 200: ExportDeleted } } },
    async ({ principal, params: { export_id: id } }) => {
      await deleteExport(principal, id, services);
      return { id, object: 'model.export' as const, deleted: true };
    },
  );

  app.get(
    '/exports/:export_id/content',
    {
      schema: {
        tags,
        operationId: 'downloadExport',
        summary: 'Download an export as a tar or a zip',
        params,
        querystring: ArchiveQuery,
        response: { 200: archive },
      },
    },
    async ({ principal, params: { export_id: id }, query: { format } }, reply) => {
      const objects = exportObjects(await findExport(principal, id, services));
      return sendArchive(reply, { name: id, format, objects }, services) as never;
    },
  );

  app.get(
    '/exports/:export_id/files/:filename',
    {
      schema: { tags, operationId: 'downloadExportFile', summary: 'Download one file of an export', params: ExportFileParams, ...downloadSchema },
    },
    async (request, reply) => {
      const { export_id: id, filename } = request.params;
      const objects = exportObjects(await findExport(request.principal, id, services));
      const object = objects.find(({ name }) => name === filename);
      if (object === undefined)
        throw new Refusal('export_not_found', `The export "${id}" has no file "${filename}"`, {
          param: 'filename',
          hint: `Its files are ${objects.map(({ name }) => name).join(', ')}.`,
        });
      const { key, sizeBytes, sha256 } = object;
      return sendContent(request, reply, { filename, sizeBytes, sha256, open: (range) => services.objectStore.get(key, range) }) as never;
    },
  );
};
