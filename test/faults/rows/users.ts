/** What users and operators do at random moments. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Refused } from '../api.ts';
import { ask } from '../ask.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import type { Findings } from '../invariants.ts';
import { signal } from '../processes.ts';

/** Steps that are recorded this long after a cancel was answered were written after it. */
const AFTERWARDS_MS = 3_000;
/** Whoever waits for the training to stop would take longer; a loaded machine takes seconds as well. */
const ANSWER_LIMIT_MS = 5_000;

interface Recorded {
  steps: number;
  checkpoints: number;
  events: number;
}

async function recorded({ truth, jobId }: Try): Promise<Recorded> {
  const { recordedSteps, checkpoints, events } = await truth.job(jobId);
  return { steps: recordedSteps, checkpoints, events };
}

const cancelled: Fault = {
  name: 'cancelled',
  open() {
    const answered = new Map<string, { recorded: Recorded; afterMs: number }>();
    return {
      async disturb(one) {
        await one.untilRandomMoment();
        const startedMs = performance.now();
        if (!(await ask(one.api, one.jobId, 'cancel'))) return;
        answered.set(one.jobId, { afterMs: performance.now() - startedMs, recorded: await recorded(one) });
      },
      async check(id, one): Promise<Findings> {
        const { status } = await one.truth.job(id);
        const answer = answered.get(id);
        if (answer === undefined) return { lost: status !== 'succeeded', wrongBytes: false, irregular: [] };
        await delay(AFTERWARDS_MS);
        const later = await recorded(one);
        const irregular = (Object.keys(later) as (keyof Recorded)[])
          .filter((what) => later[what] !== answer.recorded[what])
          .map((what) => `after the cancel was answered, ${later[what] - answer.recorded[what]} ${what} were written`);
        if (answer.afterMs > ANSWER_LIMIT_MS) irregular.push(`the cancel was answered after ${(answer.afterMs / 1000).toFixed(1)} s`);
        for (const step of await one.api.checkpointSteps(id)) await one.api.checkpointAdapter(id, step);
        return { lost: status !== 'cancelled', wrongBytes: false, irregular };
      },
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
