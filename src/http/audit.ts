/** The audit log: one entry for every request that may have changed something. */
import type { FastifyInstance } from 'fastify';
import type { Caller } from '../accounts/principal.ts';
import { scopeOfMethod } from '../accounts/scopes.ts';
import { redacted } from '../formats/secrets.ts';
import { cut } from '../formats/shown.ts';
import type { Services } from '../services.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The id in the answer: what a request created. */
    answeredId: string | null;
  }
  interface FastifyContextConfig {
    /** OpenAI's name for what the route does; default: the operation's own. false: it changes nothing, whatever its method. */
    audit?: string | false;
  }
}

/**
 * Entries are written after the answer, which does not wait for them: a process that is killed in between, or a database that is away just then, leaves a
 * change without one. The log of the process has the request in any case.
 */
export function auditChanges(app: FastifyInstance, { audit, log }: Pick<Services, 'audit' | 'log'>): void {
  app.decorateRequest('answeredId', null);
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const { id } = (payload ?? {}) as { id?: unknown };
    if (typeof id === 'string') request.answeredId = id;
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => {
    // A request without a good key is nobody's, and changes nothing.
    const caller = request.principal as Caller | undefined;
    if (caller === undefined || scopeOfMethod(request.method) === 'read') return;
    const { config, schema, url = 'unknown' } = request.routeOptions;
    if (config.audit === false) return;
    const entry = {
      organizationId: caller.organization,
      projectId: caller.project,
      keyId: caller.key.id,
      serviceAccountId: caller.key.serviceAccount,
      type: config.audit ?? (schema as { operationId?: string } | undefined)?.operationId ?? 'unknown',
      method: request.method,
      route: url,
      objectId: request.answeredId ?? lastOf(request.params),
      status: reply.statusCode,
      ipAddress: request.ip,
    };
    await audit.add(entry).catch((error: unknown) => log.error({ err: error, entry }, 'the audit log could not be written'));
  });
}

/** `/files/:file_id`, `/jobs/:job_id/pause`: the last parameter names the object. */
function lastOf(params: unknown): string | null {
  const values = Object.values((params ?? {}) as Record<string, string>);
  const last = values.at(-1);
  return last === undefined ? null : cut(redacted(last));
}
