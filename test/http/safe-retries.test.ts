import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { seal, unseal } from '../../src/retries/sealed.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const job = (fields: object = {}) => ({ model: 'graft-tiny', training_file, ...fields });
const post = (url: string, body: object | null, headers: Record<string, string>) =>
  service.inject({
    method: 'POST',
    url,
    headers: body === null ? headers : { 'content-type': 'application/json', ...headers },
    ...(body !== null && { payload: JSON.stringify(body) }),
  });
const create = (fields: object, headers: Record<string, string>) => post('/v1/fine_tuning/jobs', job(fields), headers);
const retried = { 'x-stainless-retry-count': '1' };
const count = async () => service.services.database.job.count();

/** Uploads as multipart, each time with another boundary. */
const upload = (content: string, headers: Record<string, string>, filename = 'a.jsonl') => {
  const boundary = `b${Math.random()}`;
  const field = (name: string, value: string, more = '') =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
  const payload = `${field('file', content, `; filename="${filename}"`)}${field('purpose', 'fine-tune')}--${boundary}--\r\n`;
  return service.inject({
    method: 'POST',
    url: '/v1/files',
    payload,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, ...headers },
  });
};

describe('a retry of the official clients, which send no key', () => {
  it('with an equal body › gives the first job', async () => {
    const first = (await create({ suffix: 'lost' }, {})).json();
    const again = await create({ suffix: 'lost' }, retried);
    expect(again.json()).toEqual(first);
    expect(again.headers['idempotent-replayed']).toBe('true');
  });

  it('while the first is still being answered › waits for its job', async () => {
    const { models } = service.services;
    const find = models.find.bind(models);
    vi.spyOn(models, 'find').mockImplementationOnce(async (id) => {
      await delay(500);
      return find(id);
    });
    const before = await count();
    const [first, again] = await Promise.all([create({ suffix: 'slow' }, {}), delay(200).then(() => create({ suffix: 'slow' }, retried))]);
    expect(again.json().id).toBe(first.json().id);
    expect(await count()).toBe(before + 1);
  });

  it('with another body, or after the first was refused › is a new request', async () => {
    const first = (await create({ suffix: 'x' }, {})).json();
    expect((await create({ suffix: 'y' }, retried)).json().id).not.toBe(first.id);
    expect((await create({ training_file: 'file-none' }, {})).statusCode).toBe(400);
    expect((await create({ training_file: 'file-none' }, retried)).statusCode).toBe(400);
  });

  it('after an equal request that was meant as another › gives the job of that one', async () => {
    const first = (await create({ suffix: 'twice' }, {})).json();
    const second = (await create({ suffix: 'twice' }, {})).json();
    expect(second.id).not.toBe(first.id);
    expect((await create({ suffix: 'twice' }, retried)).json().id).toBe(second.id);
  });

  it('later than a quarter of an hour › is a new request', async () => {
    const first = (await create({ suffix: 'old' }, {})).json();
    await service.services.database.$executeRaw`UPDATE repeatable_requests SET created_at = created_at - interval '16 minutes'`;
    expect((await create({ suffix: 'old' }, retried)).json().id).not.toBe(first.id);
  });

  it('by the client itself, whose first answer is cut off › makes one job', async () => {
    let requests = 0;
    const client = new OpenAI({
      apiKey: API_KEY,
      baseURL: `${service.address}/v1`,
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        if (requests++ > 0) return response;
        await response.text();
        throw new TypeError('the connection was cut');
      },
    });
    const before = await count();
    await client.fineTuning.jobs.create(job({ suffix: 'cut' }) as never);
    expect(requests).toBe(2);
    expect(await count()).toBe(before + 1);
  });
});

describe('an Idempotency-Key', () => {
  it('on an upload › gives the first file, whatever the boundary is', async () => {
    const key = { 'idempotency-key': 'upload' };
    const first = (await upload('{"prompt":"a","completion":"b"}\n', key)).json();
    const again = await upload('{"prompt":"a","completion":"b"}\n', key);
    expect(again.json()).toEqual(first);
    for (const other of [await upload('{"prompt":"a","completion":"c"}\n', key), await upload('{"prompt":"a","completion":"b"}\n', key, 'b.jsonl')])
      expect(refusal(other)).toMatchObject({ status: 409, code: 'idempotency_key_reused', message: expect.stringContaining(first.id) });
    expect(await service.services.objectStore.list(`files/`)).toHaveLength((await service.client.files.list()).data.length);
  });

  it('on an upload, twice at once › gives one file', async () => {
    const content = `${JSON.stringify({ prompt: 'a', completion: 'b'.repeat(300_000) })}\n`;
    const [first, second] = await Promise.all([1, 2].map(() => upload(content, { 'idempotency-key': 'at once' })));
    expect([first!.statusCode, second!.statusCode]).toEqual([200, 200]);
    expect(second!.json().id).toBe(first!.json().id);
  });

  it('on an action without a body › gives the first answer; at another address, it is refused', async () => {
    const [{ id }, other] = [(await create({}, {})).json(), (await create({}, {})).json()];
    const key = { 'idempotency-key': 'cancel' };
    const first = await post(`/v1/fine_tuning/jobs/${id}/cancel`, null, key);
    expect(first.json()).toMatchObject({ status: 'cancelled' });
    expect((await post(`/v1/fine_tuning/jobs/${id}/cancel`, null, key)).json()).toEqual(first.json());
    const reused = await post(`/v1/fine_tuning/jobs/${other.id}/cancel`, null, key);
    expect(refusal(reused)).toMatchObject({ status: 409, code: 'idempotency_key_reused' });
    expect(reused.headers['x-should-retry']).toBe('false');
  });

  it('of a request that was refused › may be used again', async () => {
    const key = { 'idempotency-key': 'refused' };
    expect((await create({ training_file: 'file-none' }, key)).statusCode).toBe(400);
    expect((await create({}, key)).statusCode).toBe(200);
  });

  it('after a day › is a new one', async () => {
    const key = { 'idempotency-key': 'day' };
    const first = (await create({}, key)).json();
    await service.services.database.$executeRaw`UPDATE repeatable_requests SET created_at = created_at - interval '24 hours'`;
    expect((await create({ seed: 1 }, key)).json().id).not.toBe(first.id);
    await service.services.database.$executeRaw`UPDATE repeatable_requests SET created_at = created_at - interval '24 hours'`;
    await service.services.retries.sweep();
    expect(await service.services.database.repeatableRequest.count()).toBe(0);
  });

  it('of a process that died after it had created the job › gives that job', async () => {
    const key = { 'idempotency-key': 'died' };
    const first = (await create({ seed: 5 }, key)).json();
    // As it is before the answer has been kept, and while the process may still live.
    await service.services.database.$executeRaw`UPDATE repeatable_requests SET status = NULL, answer = NULL`;
    await service.services.database.$executeRaw`UPDATE repeatable_requests SET alive_at = alive_at - interval '46 seconds'`;
    expect((await create({ seed: 5 }, key)).json().id).toBe(first.id);
  });

  it('that is empty or too long › is refused', async () => {
    for (const key of ['', 'x'.repeat(256)])
      expect(refusal(await create({}, { 'idempotency-key': key }))).toMatchObject({ status: 400, param: 'idempotency-key' });
  });
});

describe('a kept answer', () => {
  it('is opened by its key alone', () => {
    const sealed = seal('{"secret":"shown once"}', 'key');
    expect(unseal(sealed, 'key')).toBe('{"secret":"shown once"}');
    expect(() => unseal(sealed, 'another')).toThrow();
    expect(seal('same', 'key')).not.toBe(seal('same', 'key'));
  });
});
