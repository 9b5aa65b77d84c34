/** Each request to the API as a span, part of the caller's trace if it names one. */
import type { FastifyInstance } from 'fastify';
import { noTracing, type OpenSpan, type Tracing } from '../tracing/tracing.ts';

export function traceRequests(app: FastifyInstance, tracing: Tracing): void {
  if (tracing === noTracing) return;
  const spans = new WeakMap<object, OpenSpan>();

  app.addHook('onRequest', (request, _reply, done) => {
    const { method, routeOptions, headers } = request;
    const route = routeOptions.url ?? '';
    const { traceparent } = headers;
    const span = tracing.begin(`${method} ${route}`, {
      kind: 'server',
      parent: typeof traceparent === 'string' ? traceparent : null,
      attributes: { 'http.request.method': method, 'http.route': route, 'graft.request_id': request.id },
    });
    spans.set(request, span);
    done();
  });

  // After the body has been read, whose events belong to no request.
  app.addHook('preValidation', (request, _reply, done) => {
    const span = spans.get(request);
    if (span === undefined) done();
    else tracing.run(span, done);
  });

  app.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request);
    span?.set({ 'http.response.status_code': reply.statusCode });
    span?.end(reply.statusCode >= 500 ? new Error('server error') : undefined);
    done();
  });
}
