import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

/** Sends bytes as they are. @returns the whole answer */
async function send(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(service.address).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
}
const REQUEST_ID = /^req_[0-9a-f]{32}$/;

describe('every answer', () => {
  it.each(['/v1/models', '/v1/nothing', '/healthz', '/v1/models/%zz', '/docs/json'])('has an id of its own: %s', async (url) => {
    const [first, second] = [await service.inject({ url }), await service.inject({ url })];
    expect(first.headers['x-request-id']).toMatch(REQUEST_ID);
    expect(second.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
  });

  it('and every error shows its id in the official client', async () => {
    const error = await service.client.fineTuning.jobs.retrieve('ftjob-none').catch((caught: unknown) => caught);
    expect((error as InstanceType<typeof OpenAI.APIError>).requestID).toMatch(REQUEST_ID);
    const { request_id: id } = await service.client.files.list().withResponse();
    expect(id).toMatch(REQUEST_ID);
  });

  it('that refuses what is not a request has the same shape: too many headers, and what is not HTTP', async () => {
    const large = await send(`GET /v1/models HTTP/1.1\r\nhost: a\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1.1 431 Request Header Fields Too Large\r\n/);
    expect(large).toMatch(/\r\nx-request-id: req_[0-9a-f]{32}\r\n/);
    expect(JSON.parse(large.slice(large.indexOf('{')))).toEqual({
      error: expect.objectContaining({ code: 'headers_too_large', type: 'invalid_request_error', param: null }),
    });
    const noHttp = await send('\x16\x03\x01 hello\r\n\r\n');
    expect(noHttp).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(JSON.parse(noHttp.slice(noHttp.indexOf('{'))).error.message).toContain('TLS');
  });
});

describe('an address that does not exist', () => {
  it('with another method › is a 405 that names the allowed ones', async () => {
    for (const [method, url, allow] of [
      ['PUT', '/v1/files', 'GET, POST'],
      ['PATCH', '/v1/fine_tuning/jobs/ftjob-a', 'DELETE, GET'],
      ['DELETE', '/v1/fine_tuning/jobs/ftjob-a/cancel', 'POST'],
      ['POST', '/v1/models/ft%3Aa%2Fb', 'DELETE, GET'],
      ['POST', '/healthz', 'GET'],
    ] as const) {
      const response = await service.inject({ method, url });
      expect(refusal(response)).toMatchObject({ status: 405, code: 'method_not_allowed', type: 'invalid_request_error' });
      expect(response.headers['allow']).toBe(allow);
    }
  });

  it('without /v1, or with two › is told so', async () => {
    const plain = await service.app.inject({ method: 'POST', url: '/fine_tuning/jobs' });
    expect(refusal(plain)).toMatchObject({ status: 404, message: expect.stringContaining('The API is at /v1/fine_tuning/jobs') });
    expect(refusal(await service.inject({ url: '/v1/v1/files' })).message).toContain('twice');
    expect(refusal(await service.inject({ url: '/v1/nothing' }))).toMatchObject({ status: 404, message: expect.stringContaining('/docs') });
  });
});

describe('while no worker has announced itself', () => {
  it('a base model is a 503 to ask again, which the official client does; a tuned one is still a 404', async () => {
    const training_file = await service.upload();
    await service.worker.remove();
    const created = await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file });
    expect(refusal(created)).toMatchObject({ status: 503, code: 'no_worker', type: 'server_error', param: 'model' });
    expect(Number(created.headers['retry-after'])).toBeGreaterThan(0);
    expect(refusal(await service.inject({ url: '/v1/models/graft-tiny' }))).toMatchObject({ status: 503 });
    expect(refusal(await service.inject({ url: '/v1/models/ft%3Anone' }))).toMatchObject({ status: 404 });
    const client = new OpenAI({ baseURL: `${service.address}/v1`, apiKey: API_KEY });
    const asking = client.models.retrieve('graft-tiny');
    setTimeout(() => void service.worker.announce(), 500);
    expect((await asking).id).toBe('graft-tiny');
  });
});

describe('pages of other origins', () => {
  const preflight = { origin: 'https://app.example.com', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const ask = async (settings: Record<string, string>, headers: Record<string, string>) => {
    const { corsOrigins } = readConfig(settings);
    const app = await buildApp({ ...service.services, config: { ...service.services.config, corsOrigins } }, { apiKey: API_KEY });
    const response = await app.inject({ method: 'OPTIONS', url: '/v1/files', headers });
    await app.close();
    return response;
  };

  it('may call the service only if its operator allows them', async () => {
    expect((await ask({}, preflight)).headers['access-control-allow-origin']).toBeUndefined();
    const allowed = await ask({ CORS_ORIGINS: 'https://app.example.com, http://localhost:8080' }, preflight);
    expect(allowed.statusCode).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-headers': 'authorization',
    });
    const other = await ask({ CORS_ORIGINS: 'https://app.example.com' }, { ...preflight, origin: 'https://evil.example.com' });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    expect((await ask({ CORS_ORIGINS: '*' }, preflight)).headers['access-control-allow-origin']).toBe('*');
  });

  it('are origins, not addresses', () => {
    expect(() => readConfig({ CORS_ORIGINS: 'https://app.example.com/page' })).toThrow('CORS_ORIGINS has "https://app.example.com/page"');
  });
});
