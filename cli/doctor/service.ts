/** Whether the service can be used. */
import type { Context } from '../context.ts';
import { reportOf } from '../reported.ts';
import type { Service } from '../service.ts';
import type { Connection } from '../settings.ts';
import { bytes } from '../terminal/amounts.ts';
import type { List, Model } from '../types.ts';
import { bad, type Check, good } from './check.ts';

const TIMEOUT_MS = 5_000;

export async function examineService({ connection: find, service: connect }: Context): Promise<Check[]> {
  const connection = await find();
  const { url, key, keyFrom } = connection;
  const alive = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => error);
  if (!(alive instanceof Response))
    return [bad('service', `${url} does not answer`, 'Start it with `npm start`, or choose another with `graft login` or GRAFT_URL.')];
  if (!alive.ok) return [bad('service', `${url} answers ${alive.status}`, 'Another program may listen there: look at the address and the port.')];
  const checks = [good('service', url), await examineReadiness(connection)];
  if (key === null) return [...checks, bad('key', 'none', 'Sign in with `graft login`, or set GRAFT_API_KEY.')];
  try {
    const service = await connect();
    const models = await service.client.get<List<Model>>('/models', { query: { limit: 1000 }, maxRetries: 0 });
    return [...checks, good('key', `from ${keyFrom}`), ...(await examineModels(models.data, service))];
  } catch (error) {
    const { message, hint } = reportOf(error, url);
    return [...checks, bad('key', `from ${keyFrom}: ${message}`, hint ?? 'Ask whoever runs the service.')];
  }
}

async function examineReadiness({ url }: Connection): Promise<Check> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
  const { missing = {} } = ((await answer?.json().catch(() => null)) ?? {}) as { missing?: Record<string, string> };
  if (answer?.ok) return good('readiness', 'database, Redis, storage and a base model are there');
  const what = Object.entries(missing).map(([name, why]) => `${name}: ${why}`);
  return bad(
    'readiness',
    what.join('; ') || 'it does not answer in time',
    "The service's log says more. Without a worker, start one: `npm run worker`.",
  );
}

interface Worker {
  device: string;
  hostname: string;
  memory_bytes: number | null;
  running_jobs: number;
}

async function examineModels(models: readonly Model[], { client }: Service): Promise<Check[]> {
  const bases = models.filter(({ base_model: base }) => base === undefined).length;
  if (bases === 0) return [bad('models', 'no base model', 'Put one into MODELS_DIR of a worker, or allow downloads with ALLOW_MODEL_DOWNLOAD.')];
  const { data: workers } = await client.get<List<Worker>>('/workers', { maxRetries: 0 });
  const named = workers.map(({ hostname, device, memory_bytes: memory }) => `${device} of ${hostname}${memory === null ? '' : `, ${bytes(memory)}`}`);
  return [
    good('models', `${bases} base, ${models.length - bases} tuned`),
    workers.length === 0
      ? bad('workers', 'none is running', 'Start one: `npm run worker`.')
      : good('workers', `${workers.length}: ${named.join('; ')}`),
  ];
}
