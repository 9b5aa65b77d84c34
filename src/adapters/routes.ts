import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { ErrorResponse } from '../http/list-schema.ts';
import { findJob } from '../jobs/find.ts';
import type { Services } from '../services.ts';
import { adapterFile, adapterObjects, tarOf } from './directory.ts';

const JobParams = Type.Object({ job_id: Type.String() });
const FileParams = Type.Object({ job_id: Type.String(), filename: Type.String() });
const CheckpointParams = Type.Object({ job_id: Type.String(), step: Type.Integer({ minimum: 0 }) });

const tags = ['Adapters'];
const response = { 200: Type.Any(), '4xx': ErrorResponse };

/** `/v1/fine_tuning/jobs/{id}/adapter`: downloads of what training produced */
export const adapterRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/adapter',
    {
      schema: {
        tags,
        summary: 'Download the adapter as a tar',
        description: 'The adapter directory that PEFT loads, or the Hugging Face model directory for full fine-tuning.',
        params: JobParams,
        produces: ['application/x-tar'],
        response,
      },
    },
    async ({ principal, params }, reply) => {
      const job = await findJob(principal, params.job_id, services);
      const objects = await adapterObjects(job, services);
      return reply.type('application/x-tar').header('content-disposition', `attachment; filename="${job.id}.tar"`).send(tarOf(objects, services));
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/adapter/:filename',
    { schema: { tags, summary: 'Download one file of the adapter', params: FileParams, produces: ['application/octet-stream'], response } },
    async ({ principal, params }, reply) => {
      const job = await findJob(principal, params.job_id, services);
      const { content, sizeBytes } = await adapterFile(job, params.filename, services);
      return reply.type('application/octet-stream').header('content-length', sizeBytes).send(content);
    },
  );

  app.get(
    '/fine_tuning/jobs/:job_id/checkpoints/:step/adapter',
    { schema: { tags, summary: "Download a checkpoint's adapter as a tar", params: CheckpointParams, produces: ['application/x-tar'], response } },
    async ({ principal, params }, reply) => {
      const job = await findJob(principal, params.job_id, services);
      const objects = await adapterObjects(job, services, params.step);
      const filename = `${job.id}-step-${params.step}.tar`;
      return reply.type('application/x-tar').header('content-disposition', `attachment; filename="${filename}"`).send(tarOf(objects, services));
    },
  );
};
