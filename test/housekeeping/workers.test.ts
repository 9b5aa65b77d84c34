import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepWorkers } from '../../src/housekeeping/workers.ts';
import { newWorkerId } from '../../src/jobs/lost.ts';
import { processIdentity, startTicks } from '../../src/process-identity.ts';
import { type RunningService, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

describe('the sweep of workers', () => {
  it('removes one that has ended on this machine, and one that was silent for hours', async () => {
    const { models, database } = service.services;
    const process = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(process, 'spawn');
    const [where] = processIdentity().split('.');
    const ended = `worker-here-1234-${where}.${process.pid}.${await startTicks(process.pid!)}`;
    const alive = newWorkerId('here', '5678');
    for (const id of [ended, alive, 'worker-elsewhere', 'worker-silent']) await models.announce({ id, hostname: 'here', device: 'CPU' }, []);
    await database.worker.update({ where: { id: 'worker-silent' }, data: { heartbeatAt: new Date(Date.now() - 2 * 3_600_000) } });
    const ids = async () => (await models.workers()).map(({ id }) => id).filter((id) => id !== 'worker-test');

    process.kill('SIGKILL');
    await once(process, 'exit');
    await sweepWorkers(service.services);
    expect((await ids()).sort()).toEqual([alive, 'worker-elsewhere'].sort());
  });
});
