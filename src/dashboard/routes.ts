import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { Refusal } from '../formats/refusal.ts';
import { readSite, type SiteFile } from './site.ts';

/** A page is asked for again each time, and its files never: their addresses change with them. */
const REVALIDATE = 'no-cache';
const FOREVER = 'public, max-age=31536000, immutable';

const AssetParams = Type.Object({ version: Type.String(), '*': Type.String() });

/** `/`: the dashboard, a client of the public API like any other. It needs no key to be read, and shows nothing without one. */
export const dashboardRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const site = await readSite();

  async function send(request: FastifyRequest, reply: FastifyReply, file: SiteFile, caching: string) {
    reply.headers({ 'cache-control': caching, etag: file.etag, vary: 'accept-encoding' });
    if (request.headers['if-none-match'] === file.etag) return reply.status(304).send();
    const { content, encoding } = await file.encoded(request.headers['accept-encoding']);
    if (encoding !== null) reply.header('content-encoding', encoding);
    return reply.type(file.type).send(content);
  }

  app.get('/', { schema: { hide: true } }, (request, reply) => {
    reply.headers({ 'content-security-policy': site.policy, 'cross-origin-opener-policy': 'same-origin' });
    return send(request, reply, site.page, REVALIDATE);
  });

  app.get('/assets/:version/*', { schema: { hide: true, params: AssetParams } }, (request, reply) => {
    const { version, '*': path } = request.params;
    const file = version === site.version ? site.assets.get(path) : undefined;
    if (file === undefined)
      throw new Refusal('not_found', `There is no file "${path}" of this version of the dashboard`, { hint: 'Load the page at / again.' });
    return send(request, reply, file, FOREVER);
  });
};
