import { isUrl } from '../setting-values.ts';

export interface TracingConfig {
  /** Where traces are sent. */
  url: string;
  /** `service.name` of the processes, each with its part after a hyphen: `graft-api`, `graft-worker`, `graft-training`. */
  serviceName: string;
}

/** The variables are OpenTelemetry's own; the exporter reads the others by itself. @returns null if nothing is traced */
export function readTracing(env: NodeJS.ProcessEnv, problems: string[]): TracingConfig | null {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ofTraces, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = env;
  const url = ofTraces || (endpoint && `${endpoint.replace(/\/+$/, '')}/v1/traces`);
  if (!url || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return null;
  if (!isUrl(url, ['https:', 'http:'])) problems.push('OTEL_EXPORTER_OTLP_ENDPOINT is not a URL that starts with https:// or http://');
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/json';
  if (!protocol.startsWith('http/'))
    problems.push(`OTEL_EXPORTER_OTLP_PROTOCOL is "${protocol}"; traces are sent over HTTP, which collectors take on port 4318`);
  return Object.freeze({ url, serviceName: env['OTEL_SERVICE_NAME'] || 'graft' });
}
