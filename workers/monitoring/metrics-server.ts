import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Refusal } from '../../src/formats/refusal.ts';
import { requireReader } from '../../src/monitoring/access.ts';
import type { Services } from '../../src/services.ts';

/** Asked for by one or two scrapers. */
const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;

export interface MetricsServer {
  port: number;
  close(): void;
}

/** Answers /metrics of a worker on a port of its own. A port that is taken is logged, and the worker works without it. */
export async function serveMetrics({ config, instruments, log }: Pick<Services, 'config' | 'instruments' | 'log'>, port: number) {
  const { registry } = instruments;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
      void response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }).end(text);
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') return send(404, 'A worker answers only GET /metrics\n');
    try {
      requireReader(
        { address: request.socket.remoteAddress, headers: request.headers },
        { metricsKey: config.monitoring.metricsKey, rootKey: config.rootApiKey },
      );
    } catch (error) {
      if (error instanceof Refusal) return send(401, `${error.message}\n`);
      throw error;
    }
    send(200, await registry.metrics(), registry.contentType);
  };
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.warn({ err: error }, 'the numbers of the worker could not be shown');
      response.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise<MetricsServer | null>((resolve) => {
    server.once('error', (error) => {
      log.error({ err: error, port }, 'the worker cannot show its numbers: choose another WORKER_METRICS_PORT');
      resolve(null);
    });
    server.listen(port, config.host, () => {
      const { port: chosen } = server.address() as { port: number };
      log.info({ port: chosen }, 'the worker answers /metrics');
      resolve({ port: chosen, close: () => void server.close(() => {}) });
    });
  });
}
