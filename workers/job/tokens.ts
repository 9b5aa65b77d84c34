/** Tokenised files of jobs that have not ended, on this machine: whichever worker here takes the job next need not tokenise again. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isFinal } from '../../src/jobs/state.ts';
import type { Services } from '../../src/services.ts';

const root = (dataDir: string): string => join(dataDir, 'tokens');

/** The engine checks what it finds here, so leftovers of a crash may stay. */
export const tokensDir = (dataDir: string, jobId: string): string => join(root(dataDir), jobId);

/** Removes what jobs that have ended, or no longer exist, left here. */
export async function removeTokensOfEndedJobs({ config: { dataDir }, jobs }: Pick<Services, 'config' | 'jobs'>): Promise<void> {
  for (const jobId of await readdir(root(dataDir)).catch(() => [])) {
    const job = await jobs.findAny(jobId);
    if (job === null || isFinal(job.status)) await rm(tokensDir(dataDir, jobId), { recursive: true, force: true });
  }
}
