import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Services } from './services.ts';

/** A part that has not answered by then counts as missing. */
const PATIENCE_MS = 3_000;

const Readiness = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
  /** What is missing, part by part. */
  missing: Type.Record(Type.String(), Type.String()),
});

/** `/healthz` and `/readyz`, for whoever runs the service: no key. */
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
        summary: 'Every part answers and a base model is there',
        security: [],
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const missing = await missingParts(services);
      if (Object.keys(missing).length === 0) return { status: 'ready' as const, missing };
      return reply.status(503).send({ status: 'not_ready' as const, missing });
    },
  );
};

async function missingParts({ database, queue, objectStore, models }: Services): Promise<Record<string, string>> {
  const checks: Record<string, () => Promise<unknown>> = {
    database: () => database.$queryRaw`SELECT 1`,
    redis: () => queue.check(),
    storage: () => objectStore.check(),
    base_model: async () => {
      if ((await models.list()).length === 0) throw new Error('No worker has announced a base model yet');
    },
  };
  const outcomes = await Promise.all(Object.entries(checks).map(async ([part, check]) => [part, await problem(check)] as const));
  return Object.fromEntries(outcomes.flatMap(([part, text]) => (text === null ? [] : [[part, text] as const])));
}

async function problem(check: () => Promise<unknown>): Promise<string | null> {
  const inTime = new AbortController();
  const late = delay(PATIENCE_MS, `no answer within ${PATIENCE_MS / 1000} s`, { signal: inTime.signal }).catch(() => null);
  const answer = check().then(
    () => null,
    (error: Error) => error.message.trim() || error.name,
  );
  const outcome = await Promise.race([answer, late]);
  inTime.abort();
  return outcome;
}
