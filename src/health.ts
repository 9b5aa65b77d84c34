import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Services } from './services.ts';

/** A component that takes longer to answer counts as missing. */
const TIMEOUT_MS = 3_000;

const Readiness = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
  /** Missing components, each with the reason. */
  missing: Type.Record(Type.String(), Type.String()),
});

/** `/healthz` and `/readyz`, for the operator of the service; they need no key. */
export const healthRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: { tags: ['Health'], summary: 'The process is alive', security: [], response: { 200: Type.Object({ status: Type.Literal('ok') }) } },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: {
        tags: ['Health'],
        summary: 'Every component answers and a base model is available',
        security: [],
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const missing = await missingComponents(services);
      if (Object.keys(missing).length === 0) return { status: 'ready' as const, missing };
      return reply.status(503).send({ status: 'not_ready' as const, missing });
    },
  );
};

async function missingComponents({ database, queue, objectStore, models }: Services): Promise<Record<string, string>> {
  const checks: Record<string, () => Promise<unknown>> = {
    database: () => database.$queryRaw`SELECT 1`,
    redis: () => queue.check(),
    storage: () => objectStore.check(),
    base_model: async () => {
      if ((await models.list()).length === 0) throw new Error('No worker has announced a base model yet');
    },
  };
  const outcomes = await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await problem(check)] as const));
  return Object.fromEntries(outcomes.flatMap(([name, text]) => (text === null ? [] : [[name, text] as const])));
}

async function problem(check: () => Promise<unknown>): Promise<string | null> {
  const answered = new AbortController();
  const timeout = delay(TIMEOUT_MS, `no answer within ${TIMEOUT_MS / 1000} s`, { signal: answered.signal }).catch(() => null);
  const answer = check().then(
    () => null,
    (error: Error) => error.message.trim() || error.name,
  );
  const outcome = await Promise.race([answer, timeout]);
  answered.abort();
  return outcome;
}
