/** Everything restarted, one part after the other, while several jobs run. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, plain, type Try } from '../fault.ts';
import { type Role, signal } from '../processes.ts';

async function restart({ service }: Try, role: Role, name: NodeJS.Signals): Promise<void> {
  for (const { pid } of service.processes(role)) {
    signal(pid, name);
    await delay(3_000); // the next part only when this one is coming back
    if (!service.isUp()) await service.start();
  }
}

export const loadFaults: readonly Fault[] = [
  plain(
    'rolling restart of everything under four jobs',
    async (one) => {
      await one.untilProgress();
      await restart(one, 'worker', 'SIGTERM');
      await one.service.stop();
      await one.service.start();
      await one.untilProgress();
      await restart(one, 'worker', 'SIGTERM');
    },
    { jobs: 4, workers: 2 },
  ),
];
