import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/jobs/job.ts';
import { jobView } from '../../src/jobs/view.ts';

const job = (estimatedFinish: Date | null) =>
  ({ createdAt: new Date(), startedAt: null, finishedAt: null, chatTemplate: null, chatTemplateKwargs: null, estimatedFinish }) as unknown as Job;

describe('an estimated finish', () => {
  it('that is over is not shown', () => {
    const inAMinute = new Date(Date.now() + 60_000);
    expect(jobView(job(inAMinute)).estimated_finish).toBe(Math.floor(inAMinute.getTime() / 1000));
    expect(jobView(job(new Date(Date.now() - 1))).estimated_finish).toBeNull();
  });
});
