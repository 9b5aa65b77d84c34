import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { atMostEvery } from './monitoring/at-most-every.ts';
import { askComponents } from './monitoring/components.ts';
import type { Services } from './services.ts';

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
