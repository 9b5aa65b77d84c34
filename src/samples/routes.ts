import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { cursorList, cursorListOf } from '../http/list-schema.ts';
import { findJob } from '../jobs/find.ts';
import type { Services } from '../services.ts';
import { SampleObject, SampleQuery } from './schema.ts';

const SampleList = cursorListOf(SampleObject);

/** `/v1/fine_tuning/jobs/{id}/samples`: what the model wrote to the job's prompts, over time */
export const sampleRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/samples',
    {
      schema: {
        tags: ['Fine-tuning'],
        operationId: 'listFineTuningJobSamples',
        summary: "List the answers to a job's sample prompts",
        description: 'Those of the newest step first, and of a step in the order of the prompts.',
        params: Type.Object({ job_id: Type.String() }),
        querystring: SampleQuery,
        response: { 200: SampleList },
      },
    },
    async ({ principal, params, query: { prompt_index: prompt, step_number: step, ...page } }) => {
      const job = await findJob(principal, params.job_id, services);
      const only = { ...(prompt !== undefined && { prompt }), ...(step !== undefined && { step }) };
      const found = await services.samples.list(principal.project, job.id, { ...page, only });
      return cursorList(found, (sample) => ({
        id: sample.id,
        object: 'fine_tuning.job.sample' as const,
        created_at: unixSeconds(sample.createdAt),
        step_number: sample.step,
        prompt_index: sample.prompt,
        prompt: job.samplePrompts![sample.prompt]!, // samples are only made of a job's prompts
        text: sample.text,
        tokens: sample.tokens,
        finish_reason: sample.finishReason as 'stop' | 'length',
      }));
    },
  );
};
