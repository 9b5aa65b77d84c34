import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEARTBEAT_TIMEOUT_MS } from '../../src/jobs/attempt-store.ts';
import { openReconciler } from '../../src/jobs/reconcile.ts';
import { processIdentity, startTicks } from '../../src/process-identity.ts';
import { type RunningService, runService } from '../running-service.ts';
import { newJob } from './new-job.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

/** A round that believes in a silence at first sight. */
const reconcile = () => openReconciler(service.services, { confirmAfterMs: 0 }).reconcile();

/** Consumes until `count` jobs have come, for at most a second and a half. @returns their ids */
async function take(count: number, handler: (id: string) => Promise<void> = async () => {}): Promise<string[]> {
  const taken: string[] = [];
  let enough = () => {};
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const consumer = service.services.queue.consume(
    async (id) => {
      taken.push(id);
      await handler(id);
      if (taken.length >= count) enough();
    },
    { concurrency: 1 },
  );
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([all, new Promise((resolve) => (timer = setTimeout(resolve, 1500)))]);
  clearTimeout(timer);
  await consumer.close();
  return taken;
}

/** Takes the job whose turn it is. @returns its id */
const claimNext = async () => {
  const { jobs } = service.services;
  const next = await jobs.findNext({ models: [], ids: [] });
  return (await jobs.claim(next!.id, 'worker-next'))!.id;
};

const makeJob = async () => (await service.services.jobs.create('acme', newJob())).job;

describe('the queue', () => {
  it('wakes one worker once for a job that is enqueued three times, and accepts the job again after it is done', async () => {
    const { queue } = service.services;
    await queue.enqueue('ftjob-x');
    await queue.enqueue('ftjob-x', 'ftjob-x');
    expect(await take(2)).toEqual(['ftjob-x']);
    await queue.enqueue('ftjob-x');
    expect(await take(1)).toEqual(['ftjob-x']);
  });

  it('wakes another worker at once for a job whose worker has it and never ends', async () => {
    const { queue } = service.services;
    await queue.enqueue('ftjob-w');
    let taken = () => {};
    const first = new Promise<void>((resolve) => {
      taken = resolve;
    });
    let end = () => {};
    const dead = queue.consume(
      async () => {
        taken();
        await new Promise<void>((resolve) => {
          end = resolve;
        });
      },
      { concurrency: 1 },
    );
    await first;
    await queue.enqueue('ftjob-w');
    expect(await take(1)).toEqual(['ftjob-w']);
    end();
    await dead.close();
  });

  it('does not keep a job whose handler failed', async () => {
    const { queue } = service.services;
    await queue.enqueue('ftjob-z');
    expect(await take(1, () => Promise.reject(new Error('no')))).toEqual(['ftjob-z']);
    await queue.enqueue('ftjob-z');
    expect(await take(1)).toEqual(['ftjob-z']);
  });
});

describe('reconcile', () => {
  it('puts jobs that Redis lost back into the queue, but not those that a worker has or that have ended', async () => {
    const { jobs } = service.services;
    const [lost, claimed, cancelled] = [await makeJob(), await makeJob(), await makeJob()];
    await jobs.claim(claimed.id, 'worker-a');
    await jobs.move(cancelled.id, 'cancel');
    await reconcile();
    await reconcile();
    expect(await take(3, async (id) => void (await jobs.move(id, 'cancel')))).toEqual([lost.id]);
  });

  it('gives a running job whose worker went silent to the next one, and gives up after ten attempts', async () => {
    const { jobs, jobRecord, database } = service.services;
    const { id } = await makeJob();
    let attempt = (await jobs.claim(id, 'worker-a'))!.attempt;
    await jobs.move(id, 'read', { attempt });
    for (;;) {
      await jobs.move(id, 'start', { attempt });
      await reconcile();
      expect((await jobs.findAny(id))!.status).toBe('running');
      await database.job.update({ where: { id }, data: { heartbeatAt: new Date(Date.now() - HEARTBEAT_TIMEOUT_MS - 1) } });
      await reconcile();
      const job = (await jobs.findAny(id))!;
      if (job.status === 'failed') break;
      expect(job).toMatchObject({ status: 'queued', workerId: null });
      // The old worker wakes up late: its writes no longer count.
      expect(await jobs.heartbeat(id, attempt)).toBeNull();
      expect(await jobs.move(id, 'succeed', { attempt })).toBeNull();
      attempt = (await jobs.claim(id, 'worker-b'))!.attempt;
    }
    expect(await jobs.findAny(id)).toMatchObject({ attempt: 10, error: { code: 'too_many_attempts' } });
    expect((await jobRecord.events('acme', id, { limit: 100 })).data).toHaveLength(10);
  });

  it('after an outage of the database › lets a worker keep its job that writes again, and takes it from one that stays silent', async () => {
    const { jobs, database } = service.services;
    const [alive, dead] = [await makeJob(), await makeJob()];
    for (const { id } of [alive, dead]) {
      await jobs.claim(id, 'worker-a');
      await database.job.update({ where: { id }, data: { heartbeatAt: new Date(Date.now() - HEARTBEAT_TIMEOUT_MS - 1000) } });
    }
    const reconciler = openReconciler(service.services, { confirmAfterMs: 50 });
    await reconciler.freeLostJobs();
    expect(await jobs.heartbeat(alive.id, 1)).not.toBeNull();
    expect(await jobs.heartbeat(dead.id, 0)).toBeNull(); // of an older attempt
    await delay(60);
    await reconciler.freeLostJobs();
    expect(await jobs.findAny(alive.id)).toMatchObject({ workerId: 'worker-a', losses: 0 });
    expect(await jobs.findAny(dead.id)).toMatchObject({ workerId: null, losses: 1 });
    for (const { id } of [alive, dead]) await jobs.move(id, 'cancel');
  });

  it('gives a job to the next worker as soon as its own has ended on this machine, before the jobs that wait', async () => {
    const { jobs } = service.services;
    const ended = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(ended, 'spawn');
    const [where] = processIdentity().split('.');
    const workerId = `worker-here-1234-${where}.${ended.pid}.${await startTicks(ended.pid!)}`;
    const [waiting, running, reading] = [await makeJob(), await makeJob(), await makeJob()];
    for (const { id } of [running, reading]) await jobs.claim(id, workerId);
    await jobs.move(running.id, 'read');
    await jobs.move(running.id, 'start');
    await reconcile();
    expect(await jobs.findAny(running.id)).toMatchObject({ status: 'running', workerId });
    ended.kill('SIGKILL');
    await once(ended, 'exit');
    await reconcile();
    expect(await jobs.findAny(running.id)).toMatchObject({ status: 'queued', workerId: null });
    expect(await jobs.findAny(reading.id)).toMatchObject({ status: 'validating_files', workerId: null });
    expect(await take(10)).toEqual(expect.arrayContaining([running.id, reading.id]));
    expect(new Set([await claimNext(), await claimNext()])).toEqual(new Set([running.id, reading.id]));
    for (const { id } of [waiting, running, reading]) await jobs.move(id, 'cancel');
  });

  it('gives up a job that keeps losing its workers before training', async () => {
    const { jobs, database } = service.services;
    const { id } = await makeJob();
    for (let attempt = 1; attempt <= 10; attempt++) {
      expect(await jobs.claim(id, 'worker-a')).toMatchObject({ attempt, status: 'validating_files' });
      await database.job.update({ where: { id }, data: { heartbeatAt: new Date(Date.now() - HEARTBEAT_TIMEOUT_MS - 1) } });
      await reconcile();
    }
    expect(await jobs.findAny(id)).toMatchObject({ status: 'failed', error: { code: 'too_many_attempts' } });
  });
});
