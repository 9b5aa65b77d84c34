/** Spans of the training process, which has no way to a collector: its worker sends them. Loaded only for a job that is traced. */
import { SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { asSent, openTracer } from '../../src/tracing/tracer.ts';
import type { SentSpan, Tracing } from '../../src/tracing/tracing.ts';

export interface ProcessTraces extends Tracing {
  /** Spans that have ended since the last call. */
  taken(): SentSpan[];
}

export function openProcessTraces(serviceName: string): ProcessTraces {
  let ended: SentSpan[] = [];
  const processor = new SimpleSpanProcessor({
    exporter: {
      export(spans, onDone) {
        ended.push(...spans.map(asSent));
        onDone({ code: 0 });
      },
      shutdown: async () => {},
    },
  });
  return {
    ...openTracer({ name: serviceName, processor }),
    taken() {
      const spans = ended;
      ended = [];
      return spans;
    },
  };
}
