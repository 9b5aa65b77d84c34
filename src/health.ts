import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Services } from './services.ts';

/** A component that takes longer to answer counts as missing. */
const TIMEOUT_MS = 3_000;
/** However often anyone asks, the components are asked no more often than this. */
const ASK_EVERY_MS = 1_000;

const tags = ['Health'];
const Alive = Type.Object({ status: Type.Literal('ok') }, { title: 'Alive' });
const Readiness = Type.Object(
  {
    status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
    missing: Type.Record(Type.String(), Type.String(), { description: 'Missing components, each with the reason; the log says more.' }),
  },
  { title: 'Readiness' },
);

/** `/healthz` and `/readyz`, for the operator of the service; they need no key, so they show no addresses and no paths. */
export const healthRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const missingComponents = atMostEvery(ASK_EVERY_MS, () => askComponents(services));

  app.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: { tags, operationId: 'isAlive', summary: 'The process is alive', security: [], response: { 200: Alive } },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: {
        tags,
        operationId: 'isReady',
        summary: 'Every component answers and a base model is available',
        security: [],
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const missing = await missingComponents();
      if (Object.keys(missing).length === 0) return { status: 'ready' as const, missing };
      return reply.status(503).send({ status: 'not_ready' as const, missing });
    },
  );
};

/** @returns asks again only when the last answer is older than that; those who ask meanwhile get the same answer */
function atMostEvery<T>(periodMs: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { answer: Promise<T>; atMs: number } | null = null;
  return () => {
    if (last === null || performance.now() - last.atMs >= periodMs) last = { answer: ask(), atMs: performance.now() };
    return last.answer;
  };
}

/** What is missing, and why, in words that anyone may read. */
const UNAVAILABLE = 'It does not answer, or refuses';
const NO_BASE_MODEL = 'No worker has announced a base model yet';

async function askComponents({ database, queue, objectStore, models, log }: Services): Promise<Record<string, string>> {
  const checks: Record<string, () => Promise<string | null>> = {
    database: () => database.$queryRaw`SELECT 1`.then(() => null),
    redis: () => queue.check().then(() => null),
    storage: () => objectStore.check().then(() => null),
    base_model: async () => ((await models.list()).length === 0 ? NO_BASE_MODEL : null),
  };
  const missing: Record<string, string> = {};
  const ask = async ([name, check]: [string, () => Promise<string | null>]) => {
    const problem = await withTimeout(check()).catch((error: unknown) => {
      log.warn({ err: error, component: name }, 'not ready: a component does not answer');
      return UNAVAILABLE;
    });
    if (problem !== null) missing[name] = problem;
  };
  await Promise.all(Object.entries(checks).map(ask));
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
