import { describe, expect, it } from 'vitest';
import type { JobRecord } from '../../../src/jobs/record-store.ts';
import { JobLost } from '../../../workers/job/endings.ts';
import { openJournal } from '../../../workers/job/journal.ts';

const attempt = { id: 'ftjob-a', attempt: 1 };
const report = (step: number) => ({ step, totalSteps: 3, metrics: { train_loss: 1 } });

/** A record that answers each write as told, and keeps what was written. */
function record(...answers: (boolean | Error)[]) {
  const written: number[][] = [];
  const addMetrics: JobRecord['addMetrics'] = async (_, steps) => {
    written.push(steps.map(({ step }) => step));
    const answer = answers.shift() ?? true;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { written, addMetrics };
}

describe('a journal', () => {
  it('whose write fails › writes the same steps again at the next flush, with those gathered since', async () => {
    const jobRecord = record(new Error('the database is down'));
    const journal = openJournal(jobRecord, attempt);
    journal.step(report(1));
    const failed = journal.flush();
    journal.step(report(2));
    await expect(failed).rejects.toThrow('the database is down');
    journal.step(report(3));
    await journal.flush();
    await journal.flush();
    expect(jobRecord.written).toEqual([
      [1, 2],
      [1, 2, 3],
    ]);
  });

  it('of a job that another worker has › throws JobLost', async () => {
    const journal = openJournal(record(false), attempt);
    journal.step(report(1));
    await expect(journal.flush()).rejects.toThrow(JobLost);
  });
});
