import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { ArchiveQuery, archive, sendArchive } from '../http/archive.ts';
import { downloadSchema, sendContent } from '../http/download.ts';
import { findDownloadable } from '../permissions/shared.ts';
import type { Services } from '../services.ts';
import { adapterFile, adapterObjects } from './directory.ts';

const JobParams = Type.Object({ job_id: Type.String() });
const FileParams = Type.Object({ job_id: Type.String(), filename: Type.String() });
/** What a column of a step holds. */
const LARGEST_STEP = 2 ** 31 - 1;
const CheckpointParams = Type.Object({ job_id: Type.String(), step: Type.Integer({ minimum: 0, maximum: LARGEST_STEP }) });

const tags = ['Adapters'];
const response = { 200: archive };

/** `/v1/fine_tuning/jobs/{id}/adapter`: downloads of what training produced */
export const adapterRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/adapter',
    {
      schema: {
        tags,
        operationId: 'downloadAdapter',
        summary: 'Download the adapter as a tar or a zip',
        description: 'The adapter directory that PEFT loads, or the Hugging Face model directory for full fine-tuning.',
        params: JobParams,
        querystring: ArchiveQuery,
        response,
      },
    },
    async ({ principal, params, query: { format } }, reply) => {
      const job = await findDownloadable(principal, { id: params.job_id }, services);
      const objects = await adapterObjects(job, services);
      return sendArchive(reply, { name: job.id, format, objects }, services) as never;
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/adapter/:filename',
    {
      schema: {
        tags,
        operationId: 'downloadAdapterFile',
        summary: 'Download one file of the adapter',
        params: FileParams,
        ...downloadSchema,
      },
    },
    async (request, reply) => {
      const job = await findDownloadable(request.principal, { id: request.params.job_id }, services);
      const { filename } = request.params;
      const { key, sizeBytes, sha256 } = await adapterFile(job, filename, services);
      return sendContent(request, reply, { filename, sizeBytes, sha256, open: (range) => services.objectStore.get(key, range) }) as never;
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/checkpoints/:step/adapter',
    {
      schema: {
        tags,
        operationId: 'downloadCheckpointAdapter',
        summary: "Download a checkpoint's adapter as a tar or a zip",
        params: CheckpointParams,
        querystring: ArchiveQuery,
        response,
      },
    },
    async ({ principal, params, query: { format } }, reply) => {
      const job = await findDownloadable(principal, { id: params.job_id, step: params.step }, services);
      const objects = await adapterObjects(job, services, params.step);
      return sendArchive(reply, { name: `${job.id}-step-${params.step}`, format, objects }, services) as never;
    },
  );
};
