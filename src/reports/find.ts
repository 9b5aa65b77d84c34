import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { FileReceipt, TokenReceipt } from '../formats/token-receipt.ts';
import { findJob } from '../jobs/find.ts';
import type { Job } from '../jobs/job.ts';
import { isFinal } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import type { ReportKind, Reports } from './store.ts';

/** When each report becomes available. */
const availability: Record<ReportKind, string> = {
  receipt: 'It is available once the files have been read and tokenised, before the first step',
  proof: 'It is available once training is done and the delivered files have been read back, before the job succeeds',
  lineage: 'It is available once training is done and the files are delivered',
  resumes: 'It is available once the job has been interrupted and has resumed',
  dry_run: 'It is available once a job that was created with `dry_run: true` has succeeded',
  analysis: 'It is available once a job that was created with `analysis: true` has succeeded; if it could not be made, an event of the job says why',
  evaluations: 'It is available before the first step of a job that was created with `evaluations`',
};

const names: Record<ReportKind, string> = {
  receipt: 'receipt',
  proof: 'proof',
  lineage: 'lineage',
  resumes: 'resume certificate',
  dry_run: 'dry run',
  evaluations: 'evaluation',
  analysis: 'analysis',
};

/** @throws Refusal fine_tune_not_found, report_not_found */
export async function findReport<Kind extends ReportKind>(
  principal: Principal,
  jobId: string,
  kind: Kind,
  services: Pick<Services, 'jobs' | 'files' | 'reports'>,
): Promise<Reports[Kind]> {
  return reportOf(await findJob(principal, jobId, services), kind, services);
}

/** @throws Refusal report_not_found */
export async function reportOf<Kind extends ReportKind>(job: Job, kind: Kind, services: Pick<Services, 'files' | 'reports'>): Promise<Reports[Kind]> {
  const report = await services.reports.find(job.owner, job.id, kind);
  if (report !== null) return kind === 'receipt' ? ((await withoutDeletedText(report as TokenReceipt, job, services)) as Reports[Kind]) : report;
  const never = isFinal(job.status) ? `; the job ended before that${job.error === null ? '' : ' (its error says why)'}` : '';
  throw new Refusal('report_not_found', `The job "${job.id}" is ${job.status} and has no ${names[kind]}`, { hint: `${availability[kind]}${never}.` });
}

/** A job may still read a file that has been deleted, and its receipt quote it; nobody sees that text any more. */
async function withoutDeletedText(
  { training, validation, ...rest }: TokenReceipt,
  { owner, trainingFileId, validationFileId }: Job,
  { files }: Pick<Services, 'files'>,
): Promise<TokenReceipt> {
  const shown = async <Receipt extends FileReceipt | null>(receipt: Receipt, fileId: string | null): Promise<Receipt> =>
    receipt === null || fileId === null || (await files.find(owner, fileId)) !== null ? receipt : { ...receipt, samples: [] };
  return { ...rest, training: await shown(training, trainingFileId), validation: await shown(validation, validationFileId) };
}
