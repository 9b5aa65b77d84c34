/** What users and operators do at random moments. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Refused } from '../api.ts';
import { ask } from '../ask.ts';
import { watchCancels } from '../cancels.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import type { Findings } from '../invariants.ts';
import { signal } from '../processes.ts';

const cancelled: Fault = {
  name: 'cancelled',
  open() {
    const cancels = watchCancels();
    return {
      async disturb(one) {
        await one.untilRandomMoment();
        await cancels.cancel(one.jobId, one);
      },
      check: async (id, one) =>
        (await cancels.check(id, one)) ?? { lost: (await one.truth.job(id)).status !== 'succeeded', wrongBytes: false, irregular: [] },
    };
  },
};

/** A worker learns at its next heartbeat that its job is gone. */
const GIVEN_UP_MS = 10_000;

const deleted: Fault = {
  name: 'deleted',
  open: () => ({
    async disturb(one) {
      await one.untilRandomMoment();
      await one.api.ask('DELETE', `/fine_tuning/jobs/${one.jobId}`);
    },
    async check(id, { api, truth, service }): Promise<Findings> {
      const irregular: string[] = [];
      const deadline = Date.now() + GIVEN_UP_MS;
      while (isTraining(id, service) && Date.now() < deadline) await delay(100);
      if (isTraining(id, service)) irregular.push(`the deleted job still trained after ${GIVEN_UP_MS / 1000} s`);
      const answer = await api.job(id).catch((error: unknown) => error);
      if (!(answer instanceof Refused && answer.status === 404)) irregular.push('the deleted job can still be retrieved');
      const [left] = await truth.query<Record<string, number>>(ROWS_OF_A_JOB, [id]);
      for (const [table, count] of Object.entries(left!)) if (count > 0) irregular.push(`the deleted job left ${count} rows in ${table}`);
      return { lost: (await truth.job(id)).status !== 'deleted', wrongBytes: false, irregular };
    },
  }),
};

const isTraining = (jobId: string, service: Try['service']): boolean => service.trainingProcess(jobId) !== null;

const ROWS_OF_A_JOB = `SELECT ${['job_events', 'step_metrics', 'checkpoints', 'job_reports']
  .map((table) => `(SELECT count(*)::int FROM ${table} WHERE job_id = $1) AS ${table}`)
  .join(', ')}`;

const REMOVED_MS = 15_000;

export const userFaults: readonly Fault[] = [
  cancelled,
  deleted,

  plain('paused and resumed three times', async (one) => {
    for (let pause = 0; pause < 3; pause++) {
      await delay((one.random.next() * 4_000) / (pause + 1));
      if (!(await ask(one.api, one.jobId, 'pause'))) return;
      await delay(one.random.next() * 2_000);
      await ask(one.api, one.jobId, 'resume');
    }
  }),

  plain('its training file deleted', async (one) => {
    const [job] = await one.truth.query<{ file: string }>('SELECT training_file_id AS file FROM jobs WHERE id = $1', [one.jobId]);
    const copy = await one.api.upload((await one.api.content(job!.file)).toString());
    // The job's own row names the copy from its start, so that later tries keep the first file.
    await one.truth.query('UPDATE jobs SET training_file_id = $1 WHERE id = $2', [copy, one.jobId]);
    await one.untilRandomMoment();
    await one.api.delete(`/files/${copy}`);
  }),

  plain('base model removed for a while, worker killed', async (one) => {
    const dir = join(one.service.home.modelsDir, 'base');
    await one.untilRandomMoment();
    renameSync(dir, `${dir}.away`);
    for (const { pid } of one.service.processes('worker')) signal(pid, 'SIGKILL');
    await delay(REMOVED_MS);
    renameSync(`${dir}.away`, dir);
  }),
];
