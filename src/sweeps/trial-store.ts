import type { Transaction } from '../database/client.ts';

/** The job of a sweep that is to be created. */
export interface OfSweep {
  sweepId: string;
  /** Of the trial. */
  sweepIndex: number;
  /** The step after which the job pauses to be compared; null: it runs to its end. */
  pauseAtStep: number | null;
}

/** Another process has created the job, or the sweep has ended. */
export class TrialTaken extends Error {
  override readonly name = 'TrialTaken';
}

/**
 * Counts a trial in the transaction that creates its job: whatever happens to the process, there are both or neither. A cancel waits for the transaction,
 * and finds the job.
 * @throws TrialTaken
 */
export async function takeTrial(tx: Transaction, owner: string, { sweepId: id, sweepIndex }: Pick<OfSweep, 'sweepId' | 'sweepIndex'>): Promise<void> {
  const next = { created: sweepIndex + 1, waitingFor: null };
  const { count } = await tx.sweep.updateMany({ where: { id, owner, status: 'running', created: sweepIndex }, data: next });
  if (count === 0) throw new TrialTaken();
}
