import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Services } from '../services.ts';
import { requireReader } from './access.ts';
import { atMostEvery } from './at-most-every.ts';
import { totalsAsText } from './totals.ts';

/** However many scrapers ask, Postgres is asked no more often than this. */
const READ_EVERY_MS = 5_000;

/** `/metrics`, for Prometheus: numbers of the whole service, and of this process. */
export const monitoringRoutes: FastifyPluginAsyncTypebox<Services & { apiKey: string }> = async (app, { apiKey: rootKey, ...services }) => {
  const { config, instruments } = services;
  const totals = atMostEvery(READ_EVERY_MS, () => totalsAsText(services));

  app.get('/metrics', { logLevel: 'warn', schema: { hide: true } }, async (request, reply) => {
    requireReader({ address: request.socket.remoteAddress, headers: request.headers }, { metricsKey: config.monitoring.metricsKey, rootKey });
    const { registry } = instruments;
    return reply.type(registry.contentType).send(`${await totals()}\n${await registry.metrics()}`);
  });
};
