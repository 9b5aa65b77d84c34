import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

const json = { 'content-type': 'application/json' };

describe('the error object', () => {
  it('is returned for an unknown route, inside and outside /v1', async () => {
    for (const url of ['/v1/nothing', '/nothing'])
      expect(refusal(await service.inject({ url }))).toMatchObject({ status: 404, code: 'not_found', param: null });
  });

  it('is returned for a body that is not JSON, has another type, is too large or is missing', async () => {
    const url = '/v1/fine_tuning/jobs';
    const send = (payload: string, headers: Record<string, string> = json) => service.inject({ method: 'POST', url, payload, headers });
    expect(refusal(await send('{"model":'))).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(refusal(await send('<job/>', { 'content-type': 'text/xml' }))).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    expect(refusal(await send(JSON.stringify({ model: 'x'.repeat(2 ** 20) })))).toMatchObject({ status: 413, code: 'body_too_large' });
    expect(refusal(await send(''))).toMatchObject({ status: 400 });
    expect(refusal(await send('{"__proto__":{}}'))).toMatchObject({ status: 400, code: 'invalid_json' });
  });

  it('is returned for an id with a NUL character, which no object has', async () => {
    const notFound = { status: 404, code: 'model_not_found', param: 'model' };
    expect(refusal(await service.inject({ url: '/v1/models/a%00b' }))).toMatchObject(notFound);
    expect(refusal(await service.inject({ url: '/v1/files/file-%00' }))).toMatchObject({ status: 404, code: 'file_not_found' });
    expect(refusal(await service.inject({ url: '/v1/fine_tuning/jobs/a%00/events' }))).toMatchObject({ status: 404, code: 'fine_tune_not_found' });
    expect(refusal(await service.inject({ url: '/v1/fine_tuning/jobs?after=%00' }))).toMatchObject({ status: 400, param: 'after' });
    expect((await service.inject({ url: '/v1/fine_tuning/jobs?metadata[a%00]=%00' })).json()).toMatchObject({ data: [], has_more: false });
  });

  it('is returned for a path that cannot be decoded, and for a query out of range', async () => {
    expect(refusal(await service.inject({ url: '/v1/models/%zz' }))).toMatchObject({ status: 400 });
    expect(refusal(await service.inject({ url: '/v1/fine_tuning/jobs?limit=0' }))).toMatchObject({ status: 400, param: 'limit' });
    expect(refusal(await service.inject({ url: '/v1/fine_tuning/jobs?after=ftjob-none' }))).toMatchObject({ status: 400, param: 'after' });
  });

  it('is returned without a key, with an empty or a wrong one, and with another scheme', async () => {
    for (const authorization of [undefined, 'Bearer ', 'Basic abc', 'Bearer nope']) {
      const response = await service.app.inject({ url: '/v1/models', headers: authorization === undefined ? {} : { authorization } });
      expect(refusal(response)).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' });
    }
  });
});

describe('without a key', () => {
  it('health, readiness and the documentation are available', async () => {
    expect((await service.app.inject('/healthz')).json()).toEqual({ status: 'ok' });
    await service.worker.announce();
    expect((await service.app.inject('/readyz')).json()).toEqual({ status: 'ready', missing: {} });
    const { paths } = (await service.app.inject('/docs/json')).json();
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/v1/files', '/v1/fine_tuning/jobs', '/v1/fine_tuning/jobs/{job_id}/adapter', '/v1/models/{model}']),
    );
    expect((await service.app.inject('/docs')).statusCode).toBeLessThan(400);
  });

  it('readiness reports a missing base model', async () => {
    await service.worker.remove();
    await delay(1_100); // the answer before is kept for a second
    const response = await service.app.inject('/readyz');
    expect(response.statusCode).toBe(503);
    expect(response.json()).toEqual({ status: 'not_ready', missing: { base_model: 'No worker has announced a base model yet' } });
    await service.worker.announce();
  });
});
