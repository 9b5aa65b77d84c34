import type { Database } from '../database/client.ts';
import type { AdapterProof } from '../formats/adapter-proof.ts';
import type { Analysis } from '../formats/analysis.ts';
import type { DryRun } from '../formats/dry-run.ts';
import type { EvaluationReport } from '../formats/evaluation-report.ts';
import type { Lineage } from '../formats/lineage.ts';
import type { Resumes } from '../formats/resumes.ts';
import type { TokenReceipt } from '../formats/token-receipt.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { type Attempt, writeFenced } from '../jobs/fenced-write.ts';

/** The reports that are kept of a job, by kind. */
export interface Reports {
  receipt: TokenReceipt;
  proof: AdapterProof;
  lineage: Lineage;
  resumes: Resumes;
  dry_run: DryRun;
  evaluations: EvaluationReport;
  analysis: Analysis;
}
export type ReportKind = keyof Reports;

export type ReportStore = ReturnType<typeof openReportStore>;

/** Reports of jobs: JSON that workers write and the service returns unchanged. */
export function openReportStore(db: Database) {
  return {
    /** Replaces an earlier report of the same kind: a new attempt reports the same or more. @returns false when the worker no longer has the job */
    async put<Kind extends ReportKind>(attempt: Attempt, kind: Kind, report: Reports[Kind]): Promise<boolean> {
      const { id: jobId } = attempt;
      const content = report as unknown as Prisma.InputJsonObject;
      const written = await writeFenced(db, attempt, (tx) =>
        tx.jobReport.upsert({
          where: { jobId_kind: { jobId, kind } },
          create: { jobId, kind, content },
          update: { content, createdAt: new Date() },
        }),
      );
      return written !== null;
    },

    /** @returns null when the job has no such report, or not yet */
    async find<Kind extends ReportKind>(owner: string, jobId: string, kind: Kind): Promise<Reports[Kind] | null> {
      const row = await db.jobReport.findUnique({ where: { jobId_kind: { jobId, kind }, job: { owner } } });
      return row && (row.content as unknown as Reports[Kind]);
    },

    /** Removes the text of a file that has been deleted from the receipts that quote it; their counts stay. */
    async forgetText(fileId: string): Promise<void> {
      for (const which of ['training', 'validation']) {
        const column = Prisma.raw(`${which}_file_id`);
        await db.$executeRaw`UPDATE job_reports SET content = jsonb_set(content, ARRAY[${which}, 'samples'], '[]') FROM jobs
          WHERE job_id = jobs.id AND kind = 'receipt' AND ${column} = ${fileId}`;
      }
    },
  };
}
