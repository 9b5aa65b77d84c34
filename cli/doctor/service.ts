/** Whether the service can be used. */
import type { Context } from '../context.ts';
import { reportOf } from '../reported.ts';
import type { Service } from '../service.ts';
import type { Connection } from '../settings.ts';
import { bytes } from '../terminal/amounts.ts';
import type { List, Model } from '../types.ts';
import { bad, type Check, good, poor } from './check.ts';

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
  id: string;
  device: string;
  memory_bytes: number | null;
}

async function examineModels(models: readonly Model[], { client }: Service): Promise<Check[]> {
  const bases = models.filter(({ base_model: base }) => base === undefined);
  if (bases.length === 0)
    return [bad('models', 'no base model', 'Put one into MODELS_DIR of a worker, or allow downloads with ALLOW_MODEL_DOWNLOAD.')];
  const found = good('models', `${bases.length} base, ${models.length - bases.length} tuned`);
  // An estimate, which costs nothing, tells which workers there are.
  const estimate = await client
    .post<{ workers: Worker[] }>('/fine_tuning/estimate', { body: { model: bases[0]!.id }, maxRetries: 0 })
    .catch(() => null);
  if (estimate === null) return [found];
  const { workers } = estimate;
  const named = workers.map(({ device, memory_bytes: memory }) => device + (memory === null ? '' : ` with ${bytes(memory)}`)).join(', ');
  return [
    found,
    workers.length === 0 ? poor('workers', 'none is running', 'Start one: `npm run worker`.') : good('workers', `${workers.length}: ${named}`),
  ];
}
