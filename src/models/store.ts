import type { Database } from '../database/client.ts';
import { databaseTime } from '../database/time.ts';
import type { BaseModel as BaseModelRow } from '../generated/prisma/client.ts';

/** A worker that has not announced itself for this long, by the database's clock, counts as gone, with its models. */
export const WORKER_TIMEOUT_MS = 45_000;
/** How often a worker calls `announce`. */
export const ANNOUNCE_EVERY_MS = 10_000;

/** A base model that a worker has on its disk. */
export interface BaseModel {
  /** Name of its directory, or `org/name`. */
  id: string;
  /** Hugging Face's `model_type`, e.g. `llama`. */
  family: string;
  parameters: number;
  sizeBytes: number;
  /** The hub's commit; null for a model that was not downloaded. */
  revision: string | null;
}

export interface AnnouncedModel extends BaseModel {
  /** Text of its config.json; null if it cannot be read or is very long. */
  config?: string | null;
}

export interface WorkerIdentity {
  id: string;
  hostname: string;
  /** e.g. `CPU`, `NVIDIA H100`. */
  device: string;
  /** The most that a training process may have of the main memory; null if the worker trains on a GPU, whose memory is smaller. */
  memoryBytes?: number | null;
}

/** A live worker, and whether it has a model. */
export type WorkerWithModel = Pick<WorkerIdentity, 'id' | 'device'> & { memoryBytes: number | null; hasModel: boolean };

export type ModelStore = ReturnType<typeof openModelStore>;

/** The condition under which a worker counts as alive. */
export const isAlive = async (db: Database) => ({ heartbeatAt: { gt: new Date((await databaseTime(db)).getTime() - WORKER_TIMEOUT_MS) } });

/** Which workers are alive and which base models they have. */
export function openModelStore(db: Database) {
  const alive = () => isAlive(db);
  return {
    /** Records that a worker is alive and which models it has; removes those that it no longer names. */
    async announce(worker: WorkerIdentity, models: AnnouncedModel[]): Promise<void> {
      const now = await databaseTime(db);
      const { id: workerId, ...rest } = worker;
      await db.$transaction(async (tx) => {
        await tx.worker.upsert({
          where: { id: workerId },
          create: { ...worker, startedAt: now, heartbeatAt: now },
          update: { ...rest, heartbeatAt: now },
        });
        await tx.baseModel.deleteMany({ where: { workerId, modelId: { notIn: models.map((model) => model.id) } } });
        for (const { id: modelId, ...facts } of models) {
          const where = { workerId_modelId: { workerId, modelId } };
          await tx.baseModel.upsert({ where, create: { workerId, modelId, ...facts, seenAt: now }, update: facts });
        }
      });
    },

    /** Removes a worker that stops, with its models. */
    async removeWorker(id: string): Promise<void> {
      await db.worker.deleteMany({ where: { id } });
    },

    /** All workers that have a row, alive or not, and for how long they have been silent. */
    async workers(): Promise<{ id: string; silentMs: number }[]> {
      const now = await databaseTime(db);
      const rows = await db.worker.findMany({ select: { id: true, heartbeatAt: true } });
      return rows.map(({ id, heartbeatAt }) => ({ id, silentMs: now.getTime() - heartbeatAt.getTime() }));
    },

    /** Live workers, and whether each has this model on its disk. */
    async workersFor({ id: modelId, revision }: Pick<BaseModel, 'id' | 'revision'>): Promise<WorkerWithModel[]> {
      const rows = await db.worker.findMany({
        where: await alive(),
        orderBy: { id: 'asc' },
        include: { models: { where: { modelId, revision }, select: { modelId: true } } },
      });
      return rows.map(({ id, device, memoryBytes, models }) => ({
        id,
        device,
        memoryBytes: memoryBytes === null ? null : Number(memoryBytes),
        hasModel: models.length > 0,
      }));
    },

    async hasWorkers(): Promise<boolean> {
      return (await db.worker.count({ where: await alive() })) > 0;
    },

    /** Every model of live workers that any of them announces, with each of its commits. */
    async announced(): Promise<Pick<BaseModel, 'id' | 'revision'>[]> {
      const rows = await db.baseModel.groupBy({ by: ['modelId', 'revision'], where: { worker: await alive() } });
      return rows.map(({ modelId: id, revision }) => ({ id, revision }));
    },

    /** Base models of live workers, each listed once, ordered by id. */
    async list(): Promise<(BaseModel & { seenAt: Date })[]> {
      const rows = await db.baseModel.findMany({
        where: { worker: await alive() },
        orderBy: [{ modelId: 'asc' }, { seenAt: 'asc' }],
        distinct: ['modelId'],
        omit: { config: true },
      });
      return rows.map(asModel);
    },

    async find(id: string): Promise<(BaseModel & { seenAt: Date }) | null> {
      const row = await db.baseModel.findFirst({ where: { modelId: id, worker: await alive() }, orderBy: { seenAt: 'asc' }, omit: { config: true } });
      return row && asModel(row);
    },

    /** The text of a model's config.json. @returns null if no live worker has announced it */
    async configOf({ id: modelId, revision }: Pick<BaseModel, 'id' | 'revision'>): Promise<string | null> {
      const where = { modelId, revision, config: { not: null }, worker: await alive() };
      return (await db.baseModel.findFirst({ where, orderBy: { seenAt: 'asc' }, select: { config: true } }))?.config ?? null;
    },
  };
}

const asModel = ({ modelId, family, parameters, sizeBytes, revision, seenAt }: Omit<BaseModelRow, 'config'>) => ({
  id: modelId,
  family,
  revision,
  parameters: Number(parameters),
  sizeBytes: Number(sizeBytes),
  seenAt,
});
