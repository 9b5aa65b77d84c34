import fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { serializerOnFirstUse, validatorOnFirstUse } from '../../src/http/compilers.ts';

const count = { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'], additionalProperties: false };

/** A service with one route, which answers with `count` from its query and whatever else its body has. */
function serve(schemas: { body?: object; querystring?: object; response?: object }) {
  const app = fastify().setValidatorCompiler(validatorOnFirstUse).setSerializerCompiler(serializerOnFirstUse);
  app.post('/', { schema: schemas }, (request) => ({ ...(request.body as object), ...(request.query as object) }));
  return app;
}

describe('schemas that are compiled on first use', () => {
  const wrong = { type: 'object', properties: { count: { type: 'nothing' } } };

  it.each(['body', 'querystring', 'response'])(
    'are not looked at before a request needs them: a wrong one of the %s fails its request',
    async (part) => {
      const app = serve(part === 'response' ? { response: { 200: wrong } } : { [part]: wrong });
      await app.ready();
      expect((await app.inject({ method: 'POST', url: '/', payload: { count: 1 } })).statusCode).toBe(500);
    },
  );

  it('refuse a wrong request with what is wrong with it, the first and every later one', async () => {
    const app = serve({ body: count });
    for (const payload of [{ count: 'x' }, { count: 'y' }]) {
      const response = await app.inject({ method: 'POST', url: '/', payload });
      expect(response.statusCode).toBe(400);
      expect(response.json().message).toBe('body/count must be integer');
    }
    expect((await app.inject({ method: 'POST', url: '/', payload: { more: 1, count: 1 } })).json().message).toBe(
      'body must NOT have additional properties',
    );
    expect((await app.inject({ method: 'POST', url: '/', payload: { count: 1 } })).json()).toEqual({ count: 1 });
  });

  it('read numbers from a query, and write only what the answer has', async () => {
    const app = serve({ querystring: count, response: { 200: count } });
    expect((await app.inject({ method: 'POST', url: '/?count=8', payload: { secret: 'x' } })).body).toBe('{"count":8}');
  });
});
