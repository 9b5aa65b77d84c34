import { setTimeout as delay } from 'node:timers/promises';
import type { Services } from '../services.ts';

/** A component that takes longer to answer counts as missing. */
const TIMEOUT_MS = 3_000;

/** What is missing, and why, in words that anyone may read. */
const UNAVAILABLE = 'It does not answer, or refuses';
const NO_BASE_MODEL = 'No worker has announced a base model yet';

export const COMPONENTS = ['database', 'redis', 'storage', 'base_model'] as const;

type Needs = Pick<Services, 'database' | 'queue' | 'objectStore' | 'models' | 'log'>;

/** @returns the missing components, each with the reason */
export async function askComponents({ database, queue, objectStore, models, log }: Needs): Promise<Record<string, string>> {
  const checks: Record<(typeof COMPONENTS)[number], () => Promise<string | null>> = {
    database: () => database.$queryRaw`SELECT 1`.then(() => null),
    redis: () => queue.check().then(() => null),
    storage: () => objectStore.check().then(() => null),
    base_model: async () => ((await models.list()).length === 0 ? NO_BASE_MODEL : null),
  };
  const missing: Record<string, string> = {};
  const ask = async (name: (typeof COMPONENTS)[number]) => {
    const problem = await withTimeout(checks[name]()).catch((error: unknown) => {
      log.warn({ err: error, component: name }, 'not ready: a component does not answer');
      return UNAVAILABLE;
    });
    if (problem !== null) missing[name] = problem;
  };
  await Promise.all(COMPONENTS.map(ask));
  return missing;
}

async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  const answered = new AbortController();
  const timeout = delay(TIMEOUT_MS, undefined, { signal: answered.signal }).then(() => {
    throw new Error(`no answer within ${TIMEOUT_MS / 1000} s`);
  });
  timeout.catch(() => {});
  return Promise.race([answer, timeout]).finally(() => answered.abort());
}
