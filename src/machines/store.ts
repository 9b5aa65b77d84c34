import type { Database } from '../database/client.ts';
import { isAlive } from '../models/store.ts';

/** A worker that is alive, and what it has to do. */
export interface Machine {
  id: string;
  hostname: string;
  device: string;
  memoryBytes: number | null;
  startedAt: Date;
  heartbeatAt: Date;
  /** Ids of the base models on its disk. */
  models: string[];
  /** How many jobs it has, whoever owns them. */
  runningJobs: number;
  /** Those of the owner who asks. */
  jobs: string[];
}

export type MachineStore = ReturnType<typeof openMachineStore>;

export function openMachineStore(db: Database) {
  return {
    /** The workers that are alive. They serve every project; of their jobs, an owner learns only their own. */
    async list(owner: string): Promise<Machine[]> {
      const workers = await db.worker.findMany({
        where: await isAlive(db),
        orderBy: [{ startedAt: 'asc' }, { id: 'asc' }],
        include: { models: { select: { modelId: true }, orderBy: { modelId: 'asc' } } },
      });
      const jobs = await db.job.findMany({
        where: { workerId: { in: workers.map(({ id }) => id) } },
        select: { id: true, owner: true, workerId: true },
        orderBy: { id: 'asc' },
      });
      return workers.map(({ models, memoryBytes, ...worker }) => {
        const its = jobs.filter(({ workerId }) => workerId === worker.id);
        return {
          ...worker,
          memoryBytes: memoryBytes === null ? null : Number(memoryBytes),
          models: models.map(({ modelId }) => modelId),
          runningJobs: its.length,
          jobs: its.filter((job) => job.owner === owner).map(({ id }) => id),
        };
      });
    },
  };
}
