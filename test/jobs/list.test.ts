import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JobFilter, openJobStore } from '../../src/jobs/store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';
import { explained } from '../database/explained.ts';
import { newJob } from './new-job.ts';

const JOBS = 20_000;
let embedded: EmbeddedDatabase;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
  const { database } = embedded;
  const { job } = await openJobStore(database).create('acme', newJob());
  // Each second job has metadata: a team of four, one project of many, and a number of its own. Jobs of another project lie in between.
  await database.$executeRaw`
    INSERT INTO jobs (id, owner, model, training_file_id, seed, method, hyperparameters, tuning, metadata, created_at)
    SELECT 'ftjob-' || n, CASE WHEN n % 5 = 0 THEN 'globex' ELSE 'acme' END, model, training_file_id, seed, method, hyperparameters, tuning,
      CASE WHEN n % 2 = 0 THEN jsonb_build_object('team', 'team-' || n / 2 % 4, 'project', 'p-' || n / 2 % 997, 'run', n::text) END,
      created_at - n / 2 * interval '1 second'
    FROM jobs, generate_series(1, ${JOBS}::int) AS n WHERE id = ${job.id}`;
  await database.$executeRawUnsafe('VACUUM ANALYZE jobs');
});
afterAll(() => embedded?.close());

/** How the list's own query is carried out. */
async function planOf(filter: Omit<JobFilter, 'limit'>) {
  const plan = explained(embedded.database);
  const page = await openJobStore(plan.database).list('acme', { limit: 20, ...filter });
  const reads = plan.nodes().filter((node) => /Scan/.test(node['Node Type']));
  const rows = reads.reduce((sum, node) => sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)), 0);
  return { page, kinds: reads.map((node) => node['Node Type']), indexes: reads.flatMap((node) => node['Index Name'] ?? []), rows };
}

describe('the list of twenty thousand jobs', () => {
  const inOrder = ['Index Scan', 'Index Scan Backward'];

  it('reads a page in the order of an index, and little more than the page', async () => {
    const { page, kinds, indexes, rows } = await planOf({});
    expect(page.data).toHaveLength(20);
    expect(inOrder).toContain(kinds[0]);
    expect(indexes).toEqual(['jobs_owner_created_at_id_idx']);
    expect(rows).toBeLessThanOrEqual(21);
  });

  it('reads no more for a page that is far from the beginning, and leaves none out', async () => {
    const first = await planOf({ after: `ftjob-${JOBS - 1_001}` });
    const next = await planOf({ after: first.page.data.at(-1)!.id });
    for (const { page, indexes, rows } of [first, next]) {
      expect(page.data).toHaveLength(20);
      expect(indexes).toEqual(['jobs_owner_created_at_id_idx']);
      expect(rows).toBeLessThanOrEqual(21);
    }
    const both = [...first.page.data, ...next.page.data].map(({ id }) => id);
    expect(new Set(both).size).toBe(40);
  });

  it('finds a pair that few jobs have by the index of metadata', async () => {
    const { page, kinds, indexes, rows } = await planOf({ metadata: { project: 'p-7' } });
    expect(page.data.length).toBeGreaterThan(0);
    expect(page.data.every(({ metadata }) => metadata?.['project'] === 'p-7')).toBe(true);
    expect(kinds).not.toContain('Seq Scan');
    expect(indexes).toEqual(['jobs_metadata_idx']);
    expect(rows).toBeLessThan(100);
  });

  it('finds a pair that many jobs have without reading the table', async () => {
    const { page, kinds } = await planOf({ metadata: { team: 'team-1' } });
    expect(page.data.every(({ metadata }) => metadata?.['team'] === 'team-1')).toBe(true);
    expect(kinds).not.toContain('Seq Scan');
  });

  it('finds those without metadata by an index of their own', async () => {
    const { page, indexes, rows } = await planOf({ metadata: null });
    expect(page.data.every(({ metadata }) => metadata === null)).toBe(true);
    expect(indexes).toEqual(['jobs_plain_idx']);
    expect(rows).toBeLessThanOrEqual(21);
  });
});
