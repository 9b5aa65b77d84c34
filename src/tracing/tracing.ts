/** Traces as the service's parts see them. Without a collector nothing of OpenTelemetry is loaded, and every call returns at once. */

export type SpanKind = 'internal' | 'server' | 'producer' | 'consumer';
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanFacts {
  /** Default: `internal`. */
  kind?: SpanKind;
  /** W3C `traceparent` of the span that it is part of; default: the current one. */
  parent?: string | null;
  /** Default: now. */
  startedAt?: Date;
  attributes?: Attributes;
}

export interface OpenSpan {
  /** W3C `traceparent`, by which others become part of it; null when nothing is traced. */
  readonly traceParent: string | null;
  set(attributes: Attributes): void;
  /** @param error  why what it is about failed */
  end(error?: unknown): void;
}

/** A span of a process that cannot send it by itself, as JSON. */
export type SentSpan = Readonly<Record<string, unknown>>;

export interface Tracing {
  begin(name: string, facts?: SpanFacts): OpenSpan;
  /** What is called in `work`, and later because of it, is part of the span. */
  run<T>(span: OpenSpan, work: () => T): T;
  /** Carries out work as a span, which ends with it; an error is recorded and thrown again. */
  within<T>(name: string, facts: SpanFacts, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** W3C `traceparent` of the current span; null outside one. */
  current(): string | null;
  /** Sends spans that another process has ended. */
  forward(spans: readonly SentSpan[]): void;
  /** Sends what has ended. */
  close(): Promise<void>;
}

const noSpan: OpenSpan = { traceParent: null, set() {}, end() {} };

export const noTracing: Tracing = {
  begin: () => noSpan,
  run: (_span, work) => work(),
  within: (_name, _facts, work) => work(noSpan),
  current: () => null,
  forward() {},
  async close() {},
};
