/** Tracing by OpenTelemetry's SDK. Loaded only where something is traced. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, SpanKind as SdkKind, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { type ReadableSpan, type SpanExporter, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Attributes, OpenSpan, SentSpan, SpanFacts, Tracing } from './tracing.ts';

const KINDS = { internal: SdkKind.INTERNAL, server: SdkKind.SERVER, producer: SdkKind.PRODUCER, consumer: SdkKind.CONSUMER } as const;

export interface TracerOptions {
  /** `service.name` */
  name: string;
  /** Where ended spans go. */
  processor: SpanProcessor;
  /** Where the spans of other processes go. */
  exporter?: SpanExporter;
}

export function openTracer({ name: service, processor, exporter }: TracerOptions): Tracing {
  const resource = resourceFromAttributes({ 'service.name': service, 'process.pid': process.pid });
  const provider = new TracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer('graft');
  const current = new AsyncLocalStorage<OpenSpan>();

  function begin(
    name: string,
    { kind = 'internal', parent = current.getStore()?.traceParent ?? null, startedAt, attributes }: SpanFacts = {},
  ): OpenSpan {
    const within = parent === null ? null : parseTraceParent(parent);
    const context = within === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...within, isRemote: true });
    return opened(
      tracer.startSpan(name, { kind: KINDS[kind], ...(startedAt && { startTime: startedAt }), ...(attributes && { attributes }) }, context),
    );
  }

  return {
    begin,
    run: (span, work) => current.run(span, work),
    async within(name, facts, work) {
      const span = begin(name, facts);
      try {
        const result = await current.run(span, () => work(span));
        span.end();
        return result;
      } catch (error) {
        span.end(error);
        throw error;
      }
    },
    current: () => current.getStore()?.traceParent ?? null,
    forward(spans) {
      exporter?.export(spans.map(asSpan), () => {});
    },
    close: () => provider.shutdown(),
  };
}

function opened(span: Span): OpenSpan {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceParent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    set: (attributes: Attributes) => void span.setAttributes(attributes),
    end(error) {
      if (error !== undefined) {
        const { name = 'Error', code = name } = error as Partial<Error> & { code?: string };
        span.setAttribute('error.type', code);
        // Without the message, which may quote data: it is in the log and in the job's events.
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** What the exporter reads of a span, as plain values. */
export function asSent(span: ReadableSpan): SentSpan {
  const { name, kind, startTime, endTime, duration, status, attributes, parentSpanContext, resource, instrumentationScope } = span;
  const timed = { name, kind, startTime, endTime, duration, status, attributes, parentSpanContext };
  return { ...timed, context: span.spanContext(), resource: resource.attributes, scope: instrumentationScope };
}

function asSpan(sent: SentSpan): ReadableSpan {
  const { context, resource, scope, ...rest } = sent as unknown as ReadableSpan & {
    context: ReturnType<ReadableSpan['spanContext']>;
    scope: { name: string };
  };
  return {
    ...rest,
    spanContext: () => context,
    resource: resourceFromAttributes(resource as never),
    instrumentationScope: scope,
    ...{ events: [], links: [], ended: true, droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}
