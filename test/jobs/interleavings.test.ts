/** Random interleavings of a user, two workers and the reconciler on the real database, compared with the model of a job's states. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fineTunedModelName } from '../../src/ids.ts';
import { HEARTBEAT_TIMEOUT_MS } from '../../src/jobs/attempt-store.ts';
import { type JobRecord, openJobRecord } from '../../src/jobs/record-store.ts';
import { openRetentionStore, type RetentionStore } from '../../src/jobs/retention-store.ts';
import { openSetbackStore, type SetbackStore } from '../../src/jobs/setback-store.ts';
import { isFinal } from '../../src/jobs/state.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { newJob } from './new-job.ts';
import { type Act, type JobModel, NEW_JOB, RECONCILER_ACTS, step, USER_ACTS, WORKER_ACTS } from './state-model.ts';

const OWNER = 'acme';
const WORKERS = ['worker-a', 'worker-b'];
/** A few seconds; `GRAFT_INTERLEAVINGS` asks for more. */
const RUNS = Number(process.env['GRAFT_INTERLEAVINGS'] ?? 30);

let embedded: EmbeddedDatabase;
let jobs: JobStore;
let jobRecord: JobRecord;
let retention: RetentionStore;
let setbacks: SetbackStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
  jobRecord = openJobRecord(embedded.database);
  retention = openRetentionStore(embedded.database);
  setbacks = openSetbackStore(embedded.database);
});
afterAll(() => embedded.close());

type Actor<A extends Act = Act> = A extends Act ? Omit<A, 'attempt' | 'number'> : never;
const acts = (weight: number, does: Actor[]) => ({ weight, arbitrary: fc.constantFrom(...does) });
/** What an actor does, with the attempt that it knows filled in when it acts. Cancels and deletions are rare, so that jobs live long enough. */
const actor = fc.oneof(
  acts(
    6,
    USER_ACTS.slice(0, 2).map((does) => ({ by: 'user', does })),
  ),
  acts(
    1,
    USER_ACTS.slice(2).map((does) => ({ by: 'user', does })),
  ),
  acts(
    20,
    WORKERS.flatMap((worker) => WORKER_ACTS.map((does): Actor => ({ by: 'worker', worker, does }))),
  ),
  acts(
    3,
    RECONCILER_ACTS.map((does) => ({ by: 'reconciler', does })),
  ),
);
/** The acts of a round happen at once. */
const rounds = fc.array(fc.array(actor, { minLength: 1, maxLength: 3 }), { minLength: 5, maxLength: 40 });

/** The attempt that each worker was last given. */
type Attempts = Map<string, number>;

async function perform(id: string, act: Act, attempts: Attempts): Promise<boolean> {
  if (act.by === 'user') {
    if (act.does === 'delete') return retention.deleteJob(OWNER, id);
    return (await (act.does === 'resume' ? jobs.resumeOwn(OWNER, id) : jobs.moveOwn(OWNER, id, act.does))) !== null;
  }
  const { attempt } = act;
  if (act.by === 'reconciler') {
    if (act.does === 'takeBack') return (await setbacks.lose({ id, attempt }, 'The worker was lost')) !== null;
    const heartbeatAt = new Date(Date.now() - HEARTBEAT_TIMEOUT_MS - 60_000);
    return (await embedded.database.job.updateMany({ where: { id, workerId: { not: null } }, data: { heartbeatAt } })).count === 1;
  }
  const { number } = act;
  switch (act.does) {
    case 'claim': {
      const claimed = await jobs.claim(id, act.worker);
      if (claimed !== null) attempts.set(act.worker, claimed.attempt);
      return claimed !== null;
    }
    case 'release':
      return (await jobs.release(id, attempt)) !== null;
    case 'heartbeat':
      return (await jobs.heartbeat(id, attempt)) !== null;
    case 'step':
      return jobRecord.addMetrics({ id, attempt }, [{ step: number, metrics: { train_loss: 1 } }]);
    case 'checkpoint':
      return (
        (await jobRecord.addCheckpoint({ id, attempt }, { step: number, folder: `jobs/${id}/${number}/`, metrics: { step: number }, files: [] })) !==
        null
      );
    case 'read':
      return (await jobs.move(id, 'read', { attempt, patch: { resolved: { n_epochs: 1 } as never } })) !== null;
    case 'succeed': {
      const fineTunedModel = fineTunedModelName({ id, organization: OWNER, model: 'graft-tiny', suffix: null });
      return (await jobs.move(id, 'succeed', { attempt, patch: { fineTunedModel } })) !== null;
    }
    case 'fail':
      return (await jobs.move(id, 'fail', { attempt, patch: { error: { code: 'x', message: 'y', param: null } } })) !== null;
    default:
      return (await jobs.move(id, act.does, { attempt })) !== null;
  }
}

/** The job as the database has it, after checking what holds for every job. */
async function read(id: string): Promise<JobModel | null> {
  const { database } = embedded;
  const job = await jobs.findAny(id);
  const [steps, checkpoints, events] = await Promise.all([
    database.stepMetric.count({ where: { jobId: id } }),
    database.checkpoint.count({ where: { jobId: id } }),
    database.jobEvent.count({ where: { jobId: id } }),
  ]);
  if (job === null) {
    expect({ steps, checkpoints, events }).toEqual({ steps: 0, checkpoints: 0, events: 0 });
    return null;
  }
  const { status, attempt, workerId, heartbeatAt, losses, lostAtStep } = job;
  const newest = (await jobRecord.newestCheckpoint(id))?.step ?? 0;
  expect(job.finishedAt !== null).toBe(isFinal(status));
  expect(job.error !== null).toBe(status === 'failed');
  expect(job.fineTunedModel !== null).toBe(status === 'succeeded');
  if (status === 'running') expect(workerId).not.toBeNull();
  const silent = heartbeatAt !== null && heartbeatAt.getTime() < Date.now() - HEARTBEAT_TIMEOUT_MS;
  return { status, attempt, workerId, silent, read: job.resolved !== null, steps, checkpoints, newest, losses, lostAtStep };
}

const orders = <T>(items: T[]): T[][] =>
  items.length <= 1 ? [items] : items.flatMap((item, index) => orders(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));

describe('a job', () => {
  it('on which a user, two workers and the reconciler act at once › is always as if they had acted one after another', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, async (plan) => {
        const { id } = (await jobs.create(OWNER, newJob())).job;
        let known: JobModel | null = NEW_JOB;
        const attempts: Attempts = new Map(WORKERS.map((worker) => [worker, 0]));
        let number = 0;
        for (const round of plan) {
          const done = await Promise.all(
            round.map(async (given) => {
              const attempt = given.by === 'worker' ? attempts.get(given.worker)! : (known?.attempt ?? 0);
              const act = { ...given, attempt, number: ++number } as Act;
              return { act, won: await perform(id, act, attempts) };
            }),
          );
          const found = await read(id);
          const before: JobModel | null = known;
          const explained = orders(done).some((order) => {
            let job: JobModel | null = before;
            for (const { act, won } of order) {
              const expected = step(job, act);
              if (expected.won !== won) return false;
              job = expected.job;
            }
            return JSON.stringify(job) === JSON.stringify(found);
          });
          if (!explained) throw new Error(`no order explains ${JSON.stringify({ before, done, found }, null, 1)}`);
          expect(found?.attempt ?? Infinity).toBeGreaterThanOrEqual(before?.attempt ?? 0);
          known = found;
        }
      }),
      { numRuns: RUNS },
    );
  });
});
