/** What the processes of the service count of their own work. Numbers of the whole service come from Postgres: see totals.ts. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** From a read in Postgres to an upload that takes minutes. */
const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Every wake-up costs an idle process something; that the event loop was blocked is seen all the same. */
const EVENT_LOOP_PRECISION_MS = 100;

export type Instruments = ReturnType<typeof openInstruments>;

export function openInstruments() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,

    /** Adds memory, processor time, event loop and garbage collection of this process: once, by a program that shows them. */
    watchProcess: () => collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS }),

    requests: new Counter({
      name: 'graft_http_requests_total',
      help: 'Requests that this API process has answered, by method, route and status.',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'graft_http_request_duration_seconds',
      help: 'How long this API process took for requests, uploads, downloads and streams included, to the last byte.',
      labelNames: ['method', 'route'] as const,
      buckets: REQUEST_SECONDS,
      registers,
    }),
    webhookAttempts: new Counter({
      name: 'graft_webhook_attempts_total',
      help: 'Attempts of this API process to send an event to a webhook, by outcome: delivered or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    generations: new Gauge({
      name: 'graft_generations_running',
      help: 'Requests for text that a worker answers for this API process now.',
      registers,
    }),
    generatedTokens: new Counter({
      name: 'graft_generation_tokens_total',
      help: 'Tokens of the answers that this API process has passed on, and of their prompts.',
      labelNames: ['kind'] as const,
      registers,
    }),
  };
}
