import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { findJob } from '../jobs/find.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import type { ReportKind, Reports } from './store.ts';

/** When each report becomes available. */
const availability: Record<ReportKind, string> = {
  receipt: 'It is available once the files have been read and tokenised, before the first step',
  proof: 'It is available once training is done and the delivered files have been read back, before the job succeeds',
  lineage: 'It is available once training is done and the files are delivered',
};

/** @throws Refusal fine_tune_not_found, report_not_found */
export async function findReport<Kind extends ReportKind>(
  principal: Principal,
  jobId: string,
  kind: Kind,
  services: Pick<Services, 'jobs' | 'reports'>,
): Promise<Reports[Kind]> {
  const job = await findJob(principal, jobId, services);
  const report = await services.reports.find(principal.organization, jobId, kind);
  if (report !== null) return report;
  const never = isFinal(job.status) ? `; the job ended before that${job.error === null ? '' : ' (its error says why)'}` : '';
  throw new Refusal('report_not_found', `The job "${jobId}" is ${job.status} and has no ${kind}`, { hint: `${availability[kind]}${never}.` });
}
