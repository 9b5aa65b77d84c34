import type { Logger } from 'pino';
import type { TracingConfig } from './config.ts';
import { noTracing, type Tracing } from './tracing.ts';

/** How often the log mentions a collector that cannot be reached. */
const WARN_EVERY_MS = 60_000;
/** A process that ends waits this long for the collector to take the last spans. */
const CLOSE_TIMEOUT_MS = 3_000;

/** @param part  of the service: `api`, `worker` */
export async function openTracing(config: TracingConfig | null, { part, log }: { part: string; log: Logger }): Promise<Tracing> {
  if (config === null) return noTracing;
  const [{ diag, DiagLogLevel }, { BatchSpanProcessor }, { OTLPTraceExporter }, { openTracer }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('./tracer.ts'),
  ]);
  let warnedMs = Number.NEGATIVE_INFINITY;
  const warn = (message: string) => {
    if (performance.now() - warnedMs < WARN_EVERY_MS) return;
    warnedMs = performance.now();
    log.warn({ reason: message }, 'traces could not be sent; jobs continue without them');
  };
  const silent = () => {};
  diag.setLogger({ error: warn, warn, info: silent, debug: silent, verbose: silent }, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const exporter = new OTLPTraceExporter({ url: config.url });
  const tracing = openTracer({ name: `${config.serviceName}-${part}`, processor: new BatchSpanProcessor({ exporter }), exporter });
  return {
    ...tracing,
    async close() {
      const closed = tracing.close().catch((error: Error) => warn(error.message));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
      });
      await Promise.race([closed, late]);
      clearTimeout(timer);
    },
  };
}
