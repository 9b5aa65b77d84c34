/** Answers an address that does not exist with what may have been meant: another method, or another base address. */
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { Refusal } from '../formats/refusal.ts';

const API = '/v1';
/** Answered by the framework, or by browsers' own questions, wherever they are allowed. */
const NOT_SHOWN = ['HEAD', 'OPTIONS'];

/** @returns a handler for addresses without a route. @param app  before any route is added */
export function explainUnknownRoutes(app: FastifyInstance): (request: FastifyRequest) => never {
  const routes: { path: RegExp; methods: string[] }[] = [];
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    if (url !== '*') routes.push({ path: pathOf(url), methods: [method].flat().filter((name) => !NOT_SHOWN.includes(name)) });
  });
  const methodsAt = (path: string): string[] =>
    [...new Set(routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods))].sort();

  // Before the body is looked at, whose type may be wrong as well.
  app.addHook('preParsing', async (request, reply) => {
    const path = pathIn(request);
    const allowed = request.is404 ? methodsAt(path) : [];
    if (allowed.length === 0) return;
    reply.header('allow', allowed.join(', '));
    throw new Refusal('method_not_allowed', `${request.method} is not possible at ${path}`, { hint: `Use ${allowed.join(' or ')}.` });
  });

  return (request) => {
    const path = pathIn(request);
    throw new Refusal('not_found', `There is no route ${request.method} ${path}`, {
      hint: meantInstead(path, methodsAt) ?? 'The routes are listed at /docs.',
    });
  };
}

const pathIn = ({ url }: FastifyRequest): string => url.split('?')[0]!;

function meantInstead(path: string, methodsAt: (path: string) => string[]): string | null {
  if (methodsAt(API + path).length > 0) return `The API is at ${API}${path}: the base URL of a client ends in ${API}.`;
  if (path.startsWith(API + API)) return `The path has ${API} twice: the base URL of a client ends in it once.`;
  return null;
}

/** `/files/:file_id` matches `/files/file-a`, and a slash at its end is another address. */
function pathOf(url: string): RegExp {
  const parts = url.split('/').map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replace(/[^\w-]/g, '\\$&')));
  return new RegExp(`^${parts.join('/')}$`);
}
