import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { AdapterProof } from '../formats/adapter-proof.ts';
import { Lineage } from '../formats/lineage.ts';
import { TokenReceipt } from '../formats/token-receipt.ts';
import { ErrorResponse } from '../http/list-schema.ts';
import type { Services } from '../services.ts';
import { findReport } from './find.ts';

const tags = ['Reports'];
const params = Type.Object({ job_id: Type.String() });

/** `/v1/fine_tuning/jobs/{id}/receipt`, `proof` and `lineage`: what is known of a job's data, its files and where they come from */
export const reportRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/receipt',
    {
      schema: {
        tags,
        summary: "Retrieve a job's token receipt",
        description: 'What training sees of the files: tokens, what is learned, what is cut, dropped or repeated, and the first examples decoded.',
        params,
        response: { 200: TokenReceipt, '4xx': ErrorResponse },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'receipt', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/proof',
    {
      schema: {
        tags,
        summary: 'Retrieve the proof of the delivered files',
        description:
          'A job succeeds only when its files, read back from storage and loaded, are the model that was trained. A proof that did not pass stays too.',
        params,
        response: { 200: AdapterProof, '4xx': ErrorResponse },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'proof', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/lineage',
    {
      schema: {
        tags,
        summary: 'Retrieve where the delivered files come from',
        description: 'The manifest that is delivered beside them: data, base model, template, seed, choices, versions, losses.',
        params,
        response: { 200: Lineage, '4xx': ErrorResponse },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'lineage', services),
  );
};
