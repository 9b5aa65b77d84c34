import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NewJob } from '../../src/jobs/job.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { openTurnStore } from '../../src/jobs/turn-store.ts';
import { openLog } from '../../src/log.ts';
import { takeTurns } from '../../workers/job/turns.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { explained } from '../database/explained.ts';
import { newJob } from './new-job.ts';

let embedded: EmbeddedDatabase;
let jobs: JobStore;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  jobs = openJobStore(embedded.database);
});
afterEach(empty);
afterAll(() => embedded.close());

/** The name of each job that was made, by id. */
const names = new Map<string, string>();

async function empty(): Promise<void> {
  names.clear();
  await embedded.database.job.deleteMany();
  await embedded.database.turn.deleteMany();
}

/** Makes the jobs of a project, named A1, A2, …. @returns their ids */
async function make(project: string, count: number, fields: Partial<NewJob> = {}): Promise<string[]> {
  const ids = [];
  for (let made = 0; made < count; made++) {
    const { job } = await jobs.create(project, newJob(fields));
    const before = [...names.values()].filter((name) => name.startsWith(project)).length;
    names.set(job.id, `${project}${before + 1}`);
    ids.push(job.id);
  }
  return ids;
}

const cancel = (id: string) => jobs.move(id, 'cancel');
const keep = async () => {};

/** A worker takes jobs until none is left. @param then what becomes of each @returns their names in order */
async function order(then: (id: string) => Promise<unknown>): Promise<string[]> {
  const taken: string[] = [];
  const superviseNext = takeTurns({
    jobs,
    async supervise(id) {
      if ((await jobs.claim(id, 'worker-a')) === null) return 'not_available';
      taken.push(names.get(id)!);
      await then(id);
      return 'taken';
    },
    stopping: new AbortController().signal,
    log: openLog('silent'),
  });
  while ((await superviseNext()) !== null);
  return taken;
}

describe('the jobs that wait', () => {
  it('of several projects › are begun in turns, those of one project in order of creation', async () => {
    await make('A', 15);
    await make('B', 1);
    await make('C', 3);
    const all = ['A1', 'B1', 'C1', 'A2', 'C2', 'A3', 'C3', ...Array.from({ length: 12 }, (_, index) => `A${index + 4}`)];
    expect(await order(cancel)).toEqual(all);
  });

  it('of several projects, with a worker for each › are begun in the same turns', async () => {
    await make('A', 3);
    await make('B', 2);
    await make('C', 1);
    expect(await order(keep)).toEqual(['A1', 'B1', 'C1', 'A2', 'B2', 'A3']);
  });

  it('of a project that comes later › are begun next, and not all before the others', async () => {
    await make('A', 4);
    let begun = 0;
    const taken = await order(async (id) => {
      begun++;
      if (begun === 2) await make('B', 2);
      await cancel(id);
    });
    expect(taken).toEqual(['A1', 'A2', 'B1', 'A3', 'B2', 'A4']);
  });

  it('of a project with a long job › wait for those of projects that have no worker', async () => {
    const [long] = await make('A', 3);
    await make('B', 3);
    expect(await order(async (id) => (id === long ? keep() : cancel(id)))).toEqual(['A1', 'B1', 'B2', 'B3', 'A2', 'A3']);
  });

  it('are begun by priority first, and in turns within one', async () => {
    await make('A', 2);
    await make('B', 1, { priority: -1 });
    await make('A', 2, { priority: 5 });
    await make('C', 1, { priority: 5 });
    await make('B', 1);
    expect(await order(cancel)).toEqual(['A3', 'C1', 'A4', 'B2', 'A1', 'A2', 'B1']);
  });

  it('that were begun before › come first and do not count as a turn of their project', async () => {
    const [first] = await make('A', 3);
    await make('B', 1, { priority: 5 });
    const { attempt } = (await jobs.claim(first!, 'worker-a'))!;
    await jobs.release(first!, attempt);
    await make('C', 1);
    expect(await order(cancel)).toEqual(['A1', 'B1', 'C1', 'A2', 'A3']);
  });

  it('on a base model that the worker does not have, or before their time › are passed over', async () => {
    await make('A', 2, { model: 'elsewhere' });
    await make('A', 1, { model: 'graft-tiny', modelRevision: 'c0ffee' });
    const [early] = await make('A', 1);
    await make('B', 1);
    await embedded.database.job.update({ where: { id: early! }, data: { resumeAt: new Date(Date.now() + 60_000) } });
    const lacking = [
      { model: 'elsewhere', modelRevision: null },
      { model: 'graft-tiny', modelRevision: 'c0ffee' },
    ];
    expect(await jobs.findNext({ models: lacking, ids: [] })).toMatchObject({ model: 'graft-tiny', modelRevision: null });
    expect(names.get((await jobs.findNext({ models: lacking, ids: [] }))!.id)).toBe('B1');
    expect(await jobs.findNext({ models: [...lacking, { model: 'graft-tiny', modelRevision: null }], ids: [] })).toBeNull();
  });

  it('whatever their projects and priorities › never let a project have two turns while another of the same priority has had none', async () => {
    const plan = fc.array(fc.record({ project: fc.constantFrom('A', 'B', 'C', 'D'), priority: fc.constantFrom(0, 1) }), {
      minLength: 2,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(plan, async (planned) => {
        await empty();
        const made = new Map<string, (typeof planned)[number]>();
        for (const job of planned) {
          const [id] = await make(job.project, 1, { priority: job.priority });
          made.set(names.get(id!)!, job);
        }
        const taken = await order(keep);
        expect(taken.toSorted()).toEqual([...made.keys()].toSorted());
        for (const [index, name] of taken.entries()) {
          const { project, priority } = made.get(name)!;
          const later = taken.slice(index + 1).map((other) => ({ name: other, ...made.get(other)! }));
          const turns = (of: string) => taken.slice(0, index).filter((earlier) => made.get(earlier)!.project === of).length;
          for (const other of later) {
            expect(other.priority).toBeLessThanOrEqual(priority);
            if (other.priority === priority && other.project !== project) expect(turns(project)).toBeLessThanOrEqual(turns(other.project));
            if (other.priority === priority && other.project === project) expect(Number(name.slice(1))).toBeLessThan(Number(other.name.slice(1)));
          }
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe('ten thousand jobs that wait, among as many that have ended', () => {
  it('are looked through in the index alone, and the ended ones not at all', async () => {
    const { database } = embedded;
    const [template] = await make('A', 1);
    await database.$executeRaw`
      INSERT INTO jobs (id, owner, status, model, training_file_id, seed, method, hyperparameters, tuning, created_at)
      SELECT 'ftjob-' || n, 'project-' || n % 7, (CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'succeeded' END)::job_status, model, training_file_id, seed,
        method, hyperparameters, tuning, now() + n * interval '1 millisecond'
      FROM jobs, generate_series(1, 20000) AS n WHERE id = ${template}`;
    await database.$executeRawUnsafe('VACUUM ANALYZE jobs');
    const plan = explained(database);
    expect(await openTurnStore(plan.database).findNext({ models: [{ model: 'elsewhere', modelRevision: null }], ids: ['ftjob-7'] })).toMatchObject({
      id: template,
    });
    const reads = plan.nodes().filter((node) => node['Relation Name'] === 'jobs');
    expect(reads.map((node) => `${node['Node Type']} ${node['Index Name']}`).toSorted()).toEqual([
      'Index Only Scan jobs_held_idx',
      'Index Only Scan jobs_waiting_idx',
    ]);
    for (const node of reads) expect(node['Actual Rows']).toBeLessThanOrEqual(10_001);
  });
});
