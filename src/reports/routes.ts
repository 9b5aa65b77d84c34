import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { AdapterProof } from '../formats/adapter-proof.ts';
import { Analysis } from '../formats/analysis.ts';
import { EvaluationReport } from '../formats/evaluation-report.ts';
import { Lineage } from '../formats/lineage.ts';
import { Resumes } from '../formats/resumes.ts';
import { TokenReceipt } from '../formats/token-receipt.ts';
import type { Services } from '../services.ts';
import { DryRunReport, findDryRun } from './dry-run.ts';
import { findReport } from './find.ts';

const tags = ['Reports'];
const params = Type.Object({ job_id: Type.String() });

/** Under `/v1/fine_tuning/jobs/{id}`: reports on a job's data, its delivered files, their origin, its interruptions, what training changed, and what a dry run measured */
export const reportRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/fine_tuning/jobs/:job_id/receipt',
    {
      schema: {
        tags,
        operationId: 'retrieveReceipt',
        summary: "Retrieve a job's token receipt",
        description:
          'What training sees of the files: tokens, how many are trained on, what is truncated, dropped or repeated, and the first examples decoded.',
        params,
        response: { 200: TokenReceipt },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'receipt', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/proof',
    {
      schema: {
        tags,
        operationId: 'retrieveProof',
        summary: 'Retrieve the proof of the delivered files',
        description:
          'A job succeeds only if its files, read back from storage and loaded, give the model that was trained. A failed proof is kept as well.',
        params,
        response: { 200: AdapterProof },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'proof', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/lineage',
    {
      schema: {
        tags,
        operationId: 'retrieveLineage',
        summary: 'Retrieve the origin of the delivered files',
        description: 'The manifest that is delivered with them: data, base model, template, seed, settings, versions, losses.',
        params,
        response: { 200: Lineage },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'lineage', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/resumes',
    {
      schema: {
        tags,
        operationId: 'listResumeCertificates',
        summary: "Retrieve a job's resume certificates",
        description: 'For each interruption: where the job had stopped, the checkpoint and hashes that it resumed from, and the first loss after.',
        params,
        response: { 200: Resumes },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'resumes', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/evaluations',
    {
      schema: {
        tags,
        operationId: 'retrieveEvaluations',
        summary: "Retrieve the scores of a job's evaluations",
        description:
          'Of the model as training found it and as it was when it was last asked, side by side. The scores over time are metrics, `eval_{name}`.',
        params,
        response: { 200: EvaluationReport },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'evaluations', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/analysis',
    {
      schema: {
        tags,
        operationId: 'retrieveAnalysis',
        summary: 'Retrieve what training changed',
        description:
          'Of a job that asked for it: what was forgotten, the share of trained parameters, and how large, and of what rank, the change of each weight is.',
        params,
        response: { 200: Analysis },
      },
    },
    ({ principal, params }) => findReport(principal, params.job_id, 'analysis', services),
  );

  app.get(
    '/fine_tuning/jobs/:job_id/dry_run',
    {
      schema: {
        tags,
        operationId: 'retrieveDryRun',
        summary: 'Retrieve what a dry run measured',
        description:
          'Peak memory beside the estimate, tokens per second, the time in all, sizes, the token receipt, and which workers have room for it.',
        params,
        response: { 200: DryRunReport },
      },
    },
    ({ principal, params }) => findDryRun(principal, params.job_id, services),
  );
};
