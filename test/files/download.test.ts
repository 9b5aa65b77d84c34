import { createHash } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let url: string;
const content = Buffer.from('{"prompt":"Grüße","completion":"b"}\n'.repeat(5_000));
const sha256 = createHash('sha256').update(content);
const digest = sha256.digest();
const etag = `"${digest.toString('hex')}"`;

beforeAll(async () => {
  service = await runService();
  url = `/v1/files/${await service.upload(content.toString())}/content`;
});
afterAll(() => service?.close());

const get = (headers: Record<string, string> = {}, options: InjectOptions = {}) => service.inject({ url, headers, ...options });

describe('a download', () => {
  it('says what it is, and that it can be had in parts', async () => {
    const { statusCode, headers, rawPayload } = await get();
    expect(statusCode).toBe(200);
    expect(rawPayload.equals(content)).toBe(true);
    expect(headers).toMatchObject({
      'accept-ranges': 'bytes',
      'content-length': String(content.length),
      'content-disposition': "attachment; filename*=UTF-8''train.jsonl",
      'repr-digest': `sha-256=:${digest.toString('base64')}:`,
      etag,
    });
  });

  it('asked for by HEAD › is described without its content', async () => {
    const { statusCode, headers, rawPayload } = await get({}, { method: 'HEAD' });
    expect({ statusCode, length: rawPayload.length }).toEqual({ statusCode: 200, length: 0 });
    expect(headers).toMatchObject({ 'content-length': String(content.length), etag, 'accept-ranges': 'bytes' });
    const part = await fetch(`${service.address}${url}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${service.client.apiKey}`, range: 'bytes=1-3' },
    });
    expect({ status: part.status, length: part.headers.get('content-length') }).toEqual({ status: 206, length: '3' });
  });

  it.each([
    ['bytes=0-99', [0, 100]],
    ['bytes=100000-', [100_000]],
    ['bytes=-7', [-7]],
  ] as [string, [number, number?]][])('of the range %s › gives those bytes', async (range, slice) => {
    const { statusCode, headers, rawPayload } = await get({ range });
    const expected = content.subarray(...slice);
    expect(statusCode).toBe(206);
    expect(rawPayload.equals(expected)).toBe(true);
    const start = content.indexOf(expected, slice[0]);
    expect(headers).toMatchObject({
      'content-range': `bytes ${start}-${start + expected.length - 1}/${content.length}`,
      'content-length': String(expected.length),
      'repr-digest': `sha-256=:${digest.toString('base64')}:`,
      etag,
    });
  });

  it('resumed after being cut off, by a client that checks the ETag, › is whole', async () => {
    const first = await get({ range: 'bytes=0-54321' });
    const rest = await get({ range: 'bytes=54322-', 'if-range': first.headers['etag'] as string });
    expect(Buffer.concat([first.rawPayload, rest.rawPayload]).equals(content)).toBe(true);
    const changed = await get({ range: 'bytes=54322-', 'if-range': '"of another content"' });
    expect({ status: changed.statusCode, length: changed.rawPayload.length }).toEqual({ status: 200, length: content.length });
  });

  it('of a range beyond its end › is refused with its size', async () => {
    const response = await get({ range: `bytes=${content.length}-` });
    expect(refusal(response)).toMatchObject({ status: 416, code: 'range_not_satisfiable', param: 'range' });
    expect(response.headers['content-range']).toBe(`bytes */${content.length}`);
  });

  it.each([etag, `W/${etag}`, `"x", ${etag}`, '*'])('that the client has already, as %s says, › is not sent again', async (had) => {
    const { statusCode, headers, rawPayload } = await get({ 'if-none-match': had });
    expect({ statusCode, length: rawPayload.length, etag: headers['etag'] }).toEqual({ statusCode: 304, length: 0, etag });
  });

  it('that the client has with another content › is sent', async () => {
    expect((await get({ 'if-none-match': '"x"' })).statusCode).toBe(200);
  });
});
