/** Who a request is from, whether their key may do it, and whether they have asked too often. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { openAuthenticator } from '../accounts/authenticate.ts';
import type { Caller } from '../accounts/principal.ts';
import { type Allowance, openRateLimiter } from '../accounts/rate-limiter.ts';
import { requireScope, type Scope, scopeOfMethod } from '../accounts/scopes.ts';
import { Refusal } from '../formats/refusal.ts';
import { connectRedis } from '../jobs/queue.ts';
import type { Services } from '../services.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller. Set before any route under /v1 runs, and only there. */
    principal: Caller;
  }
  interface FastifyContextConfig {
    /** What the route asks of a key; default: `read` for GET, `write` for the rest. */
    scope?: Scope;
  }
}

/** Lets requests into the routes of `app` that carry a good key. */
export function admitCallers(app: FastifyInstance, services: Services, rootKey: string): void {
  const authenticate = openAuthenticator(rootKey, services.access);
  const redis = connectRedis(services.urls.redis, (error) => services.log.error({ err: error }, 'requests are not counted in Redis'));
  const limiter = openRateLimiter(redis);
  app.addHook('onClose', async () => redis.disconnect());
  app.decorateRequest('principal');
  app.addHook('onRequest', async (request, reply) => {
    request.principal = await authenticate(request.headers);
    const allowance = await limiter.take(request.principal);
    if (allowance !== null) requireAllowance(allowance, reply);
    requireScope(request.principal.key, request.routeOptions.config.scope ?? scopeOfMethod(request.method));
  });
}

/** The headers are OpenAI's: clients slow down by them. @throws Refusal rate_limit_exceeded */
function requireAllowance({ limit, remaining, resetMs }: Allowance, reply: FastifyReply): void {
  reply.headers({
    'x-ratelimit-limit-requests': limit,
    'x-ratelimit-remaining-requests': Math.max(0, remaining),
    'x-ratelimit-reset-requests': `${resetMs}ms`,
  });
  if (remaining >= 0) return;
  const seconds = Math.ceil(resetMs / 1000);
  reply.header('retry-after', seconds);
  throw new Refusal('rate_limit_exceeded', `The limit of ${limit} requests a minute is reached`, {
    hint: `Ask again in ${seconds} s. Whoever administers the organization sets the limit.`,
  });
}
