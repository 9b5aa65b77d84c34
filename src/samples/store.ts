import type { Database } from '../database/client.ts';
import type { JobSample } from '../generated/prisma/client.ts';
import { cursorOf, type Page, pageOf } from '../http/paging.ts';
import { newSampleId } from '../ids.ts';
import { eventRows } from '../jobs/event-rows.ts';
import { type Attempt, writeFenced } from '../jobs/fenced-write.ts';
import type { NewEvent } from '../jobs/job.ts';

/** What a model wrote to a prompt after a step. */
export type StoredSample = Omit<JobSample, 'jobId'>;

/** With the event that shows it. */
export type NewSample = Pick<StoredSample, 'step' | 'prompt' | 'text' | 'tokens' | 'finishReason'> & { event: NewEvent };

export type SampleStore = ReturnType<typeof openSampleStore>;

export function openSampleStore(db: Database) {
  return {
    /** Samples that are there already stay as they are, and have their events. @returns false when the worker no longer has the job */
    async add(attempt: Attempt, samples: readonly NewSample[]): Promise<boolean> {
      const { id: jobId } = attempt;
      const rows = samples.map(({ event, ...sample }) => ({ ...sample, id: newSampleId(), jobId }));
      const events = eventRows(
        jobId,
        samples.map(({ event }) => event),
      );
      const written = await writeFenced(db, attempt, async (tx) => {
        const added = new Set(
          (await tx.jobSample.createManyAndReturn({ data: rows, skipDuplicates: true, select: { id: true } })).map(({ id }) => id),
        );
        await tx.jobEvent.createMany({ data: events.filter((_, index) => added.has(rows[index]!.id)) });
        return true;
      });
      return written !== null;
    },

    /** Those of the newest step first, and of a step in the order of the prompts. @param page.only  answers to this prompt, or after this step */
    async list(
      owner: string,
      jobId: string,
      { after, limit, only = {} }: { after?: string; limit: number; only?: { prompt?: number; step?: number } },
    ): Promise<Page<StoredSample>> {
      const cursor = await cursorOf(after, (id) =>
        db.jobSample.findFirst({ where: { id, jobId, job: { owner } }, select: { step: true, prompt: true } }),
      );
      const rest = cursor && { OR: [{ step: { lt: cursor.step } }, { step: cursor.step, prompt: { gt: cursor.prompt } }] };
      const where = { jobId, job: { owner }, AND: [only, rest ?? {}] };
      const rows = await db.jobSample.findMany({ where, orderBy: [{ step: 'desc' }, { prompt: 'asc' }], take: limit + 1, omit: { jobId: true } });
      return pageOf(rows, limit);
    },
  };
}
