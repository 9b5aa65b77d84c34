import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { handleError } from '../../src/http/error-handler.ts';
import { endSlowBodies } from '../../src/http/slow-bodies.ts';
import { processorStopwatch } from '../processor-time.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

describe('a hostile body', () => {
  const send = (payload: string) =>
    service.inject({ method: 'POST', url: '/v1/fine_tuning/jobs', payload, headers: { 'content-type': 'application/json' } });

  it('of 16,000 unknown keys is refused at once', async () => {
    const keys = Object.fromEntries(Array.from({ length: 16_000 }, (_, index) => [`k${index}`, 0]));
    const spentMs = processorStopwatch();
    const response = await send(JSON.stringify({ model: 'm', training_file: 'f', ...keys }));
    expect(spentMs()).toBeLessThan(3_000); // it was 105 s
    expect(refusal(response)).toMatchObject({ status: 400, code: 'unknown_parameter', param: 'k0' });
    expect(response.body.length).toBeLessThan(4_000);
  });

  it.each(['[', '{"a":', '{"method":{"supervised":{"chat_template_kwargs":{"a":'])('nested without end is refused: %s', async (opening) => {
    const depth = Math.floor(450_000 / opening.length);
    const closing = opening.replaceAll(/[^[{]/g, '').replaceAll('[', ']').replaceAll('{', '}');
    expect(refusal(await send(`${opening.repeat(depth)}1${closing.repeat(depth)}`))).toMatchObject({ status: 400, code: 'invalid_json' });
  });
});

describe('a multipart body', () => {
  const file = 'content-disposition: form-data; name="file"; filename="a.jsonl"';
  const upload = (payload: string, type = 'multipart/form-data; boundary=b') =>
    service.inject({ method: 'POST', url: '/v1/files', payload, headers: { 'content-type': type } });

  it.each([
    ['without its end', `--b\r\n${file}\r\n\r\n{"a":1}\n`],
    ['cut in a header', '--b\r\ncontent-dispo'],
    ['without a boundary in its type', `--b\r\n${file}\r\n\r\nx\r\n--b--\r\n`, 'multipart/form-data'],
    ['of another boundary', `--c\r\n${file}\r\n\r\nx\r\n--c--\r\n`],
    ['with a malformed header', '--b\r\n\0\0\0: \0\r\n\r\nx\r\n--b--\r\n'],
    [
      'with a malformed header of a part that is longer than a buffer',
      `--b\r\nno header\r\n\r\n${'x'.repeat(100_000)}\r\n--b\r\n${file}\r\n\r\nx\r\n--b--\r\n`,
    ],
    ['that is empty', ''],
    ['of many files', `${`--b\r\n${file}\r\n\r\nx\r\n`.repeat(20)}--b--\r\n`],
    ['of many fields', `${'--b\r\ncontent-disposition: form-data; name="f"\r\n\r\nx\r\n'.repeat(500)}--b--\r\n`],
  ])('%s is a 4xx with the contract’s error, and leaves nothing behind', async (_, payload, type?: string) => {
    const { status } = refusal(await upload(payload, type));
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(await service.services.objectStore.list('files/')).toEqual([]);
  });
});

describe('every answer', () => {
  it.each(['/v1/models', '/v1/nothing', '/healthz', '/v1/models/%zz'])('tells browsers to run, frame and keep nothing of it: %s', async (url) => {
    const { headers } = await service.inject({ url });
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  });

  it('of the documentation has a policy for its own scripts', async () => {
    const { headers, statusCode } = await service.app.inject('/docs/');
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
    expect(headers['content-security-policy']).toMatch(/script-src 'self'/);
  });
});

describe('readiness', () => {
  it('shows no path and no address of what is missing, and asks once for many who ask at once', async () => {
    await delay(1_100);
    const { objectStore } = service.services;
    const check = vi.spyOn(objectStore, 'check').mockRejectedValue(new Error('EACCES: /data/secret-place at 10.0.0.7:9000'));
    const answers = await Promise.all(Array.from({ length: 50 }, () => service.app.inject('/readyz')));
    for (const answer of answers) expect(answer.json()).toEqual({ status: 'not_ready', missing: { storage: 'It does not answer, or refuses' } });
    expect(check).toHaveBeenCalledTimes(1);
    check.mockRestore();
  });
});

describe('a body that arrives slowly', () => {
  it.each([
    ['an upload', 'multipart/form-data; boundary=b', `--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n`],
    ['JSON', 'application/json', '{"model":'],
  ])('%s › ends with a 408 and leaves nothing behind', async (_, type, begin) => {
    const app = fastify();
    app.addHook('onRequest', endSlowBodies({ lookEveryMs: 200 }));
    app.setErrorHandler(handleError);
    await app.register((await import('@fastify/multipart')).default);
    let ended: unknown = null;
    app.post('/', async (request) => {
      if (!request.isMultipart()) return 'read';
      try {
        for await (const part of request.parts()) if (part.type === 'file') for await (const __ of part.file);
        return 'read';
      } catch (error) {
        ended = error;
        throw error;
      }
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: 1000000\r\n\r\n${begin}`);
    const dripping = setInterval(() => socket.write('x'), 20);
    await once(socket, 'close');
    clearInterval(dripping);
    expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout/);
    expect(answer).toContain('"code":"request_timeout"');
    if (type.startsWith('multipart')) await expect.poll(() => ended).toBeInstanceOf(Error);
    await app.close();
  });

  it('is no reason to end an upload whose bytes arrive, however long it takes', async () => {
    const app = fastify();
    app.addHook('onRequest', endSlowBodies({ lookEveryMs: 100, wholeBodyMs: 100 }));
    await app.register((await import('@fastify/multipart')).default);
    app.post('/', async (request) => {
      let bytes = 0;
      for await (const part of request.parts()) if (part.type === 'file') for await (const chunk of part.file) bytes += (chunk as Buffer).length;
      return { bytes };
    });
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    async function* body() {
      yield Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n');
      for (let piece = 0; piece < 50; piece++) {
        yield Buffer.alloc(8 * 1024, 'x');
        await delay(20);
      }
      yield Buffer.from('\r\n--b--\r\n');
    }
    const init = { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: body(), duplex: 'half' };
    expect(await (await fetch(address, init as unknown as RequestInit)).json()).toEqual({ bytes: 50 * 8 * 1024 });
    await app.close();
  });
});
