import Type from 'typebox';
import type { Principal } from '../accounts/principal.ts';
import { FittingWorker } from '../estimates/schema.ts';
import { workersThatFit } from '../estimates/workers.ts';
import { DryRun } from '../formats/dry-run.ts';
import { TokenReceipt } from '../formats/token-receipt.ts';
import { findJob } from '../jobs/find.ts';
import type { Services } from '../services.ts';
import { reportOf } from './find.ts';

export const DryRunReport = Type.Object(
  {
    ...DryRun.properties,
    receipt: TokenReceipt,
    workers: Type.Array(FittingWorker, { description: 'The workers that are running now.' }),
  },
  { title: 'DryRunReport' },
);

/** What the dry run measured, with the token receipt and the workers that have room for such a job. @throws Refusal */
export async function findDryRun(
  principal: Principal,
  jobId: string,
  services: Pick<Services, 'jobs' | 'files' | 'reports' | 'models'>,
): Promise<Type.Static<typeof DryRunReport>> {
  const job = await findJob(principal, jobId, services);
  const measured = await reportOf(job, 'dry_run', services);
  const receipt = await reportOf(job, 'receipt', services);
  return { ...measured, receipt, workers: await workersThatFit(job, measured.memory.peak_bytes, services) };
}
