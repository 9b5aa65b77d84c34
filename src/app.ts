import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyInstance } from 'fastify';
import { organizationRoutes } from './accounts/routes.ts';
import { adapterRoutes } from './adapters/routes.ts';
import { chatRoutes } from './chat/routes.ts';
import { curveRoutes } from './curves/routes.ts';
import { dashboardRoutes } from './dashboard/routes.ts';
import { estimateRoutes } from './estimates/routes.ts';
import { exportRoutes } from './exports/routes.ts';
import { fileRoutes } from './files/routes.ts';
import { graderRoutes } from './graders/routes.ts';
import { healthRoutes } from './health.ts';
import { admitCallers } from './http/admission.ts';
import { auditChanges } from './http/audit.ts';
import { answerBadRequest } from './http/bad-requests.ts';
import { serializerOnFirstUse, validatorOnFirstUse } from './http/compilers.ts';
import { allowOrigins } from './http/cors.ts';
import { handleError } from './http/error-handler.ts';
import { parseJsonBody } from './http/json-body.ts';
import { explainUnknownRoutes } from './http/known-routes.ts';
import { documentOptions } from './http/openapi/document.ts';
import { addErrorAnswers } from './http/openapi/shared-answers.ts';
import { countRequests } from './http/request-counts.ts';
import { newRequestId, sendRequestId } from './http/request-id.ts';
import { RequestLog } from './http/request-log.ts';
import { repeatSafely } from './http/safe-retries.ts';
import { setSecurityHeaders } from './http/security-headers.ts';
import { endSlowBodies } from './http/slow-bodies.ts';
import { traceRequests } from './http/traces.ts';
import { jobRoutes } from './jobs/routes.ts';
import { machineRoutes } from './machines/routes.ts';
import { modelRoutes } from './models/routes.ts';
import { monitoringRoutes } from './monitoring/routes.ts';
import { permissionRoutes } from './permissions/routes.ts';
import { reportRoutes } from './reports/routes.ts';
import { sampleRoutes } from './samples/routes.ts';
import type { Services } from './services.ts';
import { sweepRoutes } from './sweeps/routes.ts';
import { uploadRoutes } from './uploads/routes.ts';
import { webhookRoutes } from './webhooks/routes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** A JSON body as it was sent; empty for other requests. */
    bodyText: string;
  }
}

/** Larger than any job request; uploads are streamed and not limited by it. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** Fits a percent-encoded model name: base, suffix and colons. */
const MAX_PARAM_LENGTH = 1024;
/** A connection on which nothing has been sent in either direction; a stream of events sends something every 15 s, a slow store may hold up an upload. */
const IDLE_CONNECTION_MS = 5 * 60_000;
/** Time for a request's headers, which are at most 16 KiB. */
const HEADERS_TIMEOUT_MS = 20_000;
/** Each takes some 50 KB, and an upload a file. Beyond it, connections are refused. */
const MAX_CONNECTIONS = 2_000;

/** Builds the HTTP service without listening. The caller closes it first and the services after it. */
export async function buildApp(services: Services, { apiKey }: { apiKey: string }): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: services.log,
    logController: new RequestLog(),
    genReqId: newRequestId,
    clientErrorHandler: answerBadRequest,
    // Routes are registered without waiting for anything but the processor, and a machine that trains may give them little of it.
    pluginTimeout: 0,
    bodyLimit: BODY_LIMIT_BYTES,
    connectionTimeout: IDLE_CONNECTION_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => {
      void setSecurityHeaders(request, reply);
      void sendRequestId(request, reply);
      handleError(error, request, reply);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.server.maxConnections = MAX_CONNECTIONS;
  app.addHook('onRequest', setSecurityHeaders);
  app.addHook('onRequest', sendRequestId);
  app.addHook('onRequest', endSlowBodies());
  app.addHook('onResponse', countRequests(services.instruments));
  traceRequests(app as unknown as FastifyInstance, services.tracing);
  app.decorateRequest('bodyText', '');
  app.setValidatorCompiler(validatorOnFirstUse);
  app.setSerializerCompiler(serializerOnFirstUse);
  app.setErrorHandler(handleError);
  const answerUnknownRoute = explainUnknownRoutes(app as unknown as FastifyInstance);
  app.setNotFoundHandler(answerUnknownRoute);
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    try {
      request.bodyText = body as string;
      done(null, parseJsonBody(request.bodyText));
    } catch (error) {
      done(error as Error);
    }
  });

  await allowOrigins(app as unknown as FastifyInstance, services.config.corsOrigins);
  app.addHook('onRoute', addErrorAnswers);
  await app.register(swagger, documentOptions);
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
  await app.register(healthRoutes, services);
  await app.register(monitoringRoutes, { ...services, apiKey });
  await app.register(dashboardRoutes);
  await app.register(
    async (v1) => {
      admitCallers(v1 as unknown as FastifyInstance, services, apiKey);
      auditChanges(v1 as unknown as FastifyInstance, services);
      repeatSafely(v1 as unknown as FastifyInstance, services);
      v1.setNotFoundHandler(answerUnknownRoute);
      await v1.register(fileRoutes, services);
      await v1.register(uploadRoutes, services);
      await v1.register(jobRoutes, services);
      await v1.register(sweepRoutes, services);
      await v1.register(curveRoutes, services);
      await v1.register(adapterRoutes, services);
      await v1.register(reportRoutes, services);
      await v1.register(exportRoutes, services);
      await v1.register(sampleRoutes, services);
      await v1.register(estimateRoutes, services);
      await v1.register(modelRoutes, services);
      await v1.register(machineRoutes, services);
      await v1.register(permissionRoutes, services);
      await v1.register(chatRoutes, services);
      await v1.register(webhookRoutes, services);
      await v1.register(async (organization) => organization.register(organizationRoutes, services), { prefix: '/organization' });
      await v1.register(graderRoutes);
    },
    { prefix: '/v1' },
  );
  return app as unknown as FastifyInstance;
}
