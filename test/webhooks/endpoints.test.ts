import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redacted } from '../../src/formats/secrets.ts';
import { openSecretBox } from '../../src/secret-box.ts';
import { GIVE_UP_AFTER_MS, pauseMs } from '../../src/webhooks/backoff.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { type Receiver, startReceiver } from './receiver.ts';

let service: RunningService;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  service = await runService({ ALLOW_PRIVATE_HOSTS: new URL(receiver.url).host });
});
afterAll(async () => {
  await service.close();
  await receiver.close();
});

const event_types = ['fine_tuning.job.failed'];
const create = async (fields: object = {}) =>
  (await service.post('/v1/webhook_endpoints', { name: 'n', url: receiver.url, event_types, ...fields })).json();
const get = async (path: string) => (await service.inject({ url: `/v1/webhook_endpoints${path}` })).json();
/** The headers of the sample event that the endpoint is sent. */
async function headersOfTest(id: string) {
  await service.post(`/v1/webhook_endpoints/${id}/test`, { event_type: 'fine_tuning.job.succeeded' });
  const { body, headers } = receiver.received.at(-1)!;
  return { body, headers: headers as Record<string, string> };
}

describe('an endpoint', () => {
  it('shows its secret once, and is listed, changed and deleted', async () => {
    const { signing_secret, ...created } = await create();
    expect(created).toEqual({
      id: expect.stringMatching(/^whe_/),
      object: 'webhook_endpoint',
      created_at: expect.closeTo(Date.now() / 1000, -2),
      updated_at: created.created_at,
      name: 'n',
      url: receiver.url,
      event_types,
      signing_secret_hint: `whsec_…${signing_secret.slice(-4)}`,
      disabled_at: null,
    });
    expect(signing_secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await get(`/${created.id}`)).toEqual(created);
    const other = await create({ name: 'other' });
    expect(await get('?limit=1')).toMatchObject({ data: [{ id: other.id }], has_more: true, first_id: other.id, last_id: other.id });
    expect(await get(`?after=${other.id}`)).toEqual({ object: 'list', data: [created], has_more: false, first_id: created.id, last_id: created.id });

    await service.services.database.webhookEndpoint.updateMany({ data: { updatedAt: new Date(0) } });
    expect((await service.post(`/v1/webhook_endpoints/${created.id}`, { name: 'n', event_types })).json().updated_at).toBe(0);
    expect((await service.inject({ method: 'POST', url: `/v1/webhook_endpoints/${created.id}` })).json().updated_at).toBe(0);
    const changed = (await service.post(`/v1/webhook_endpoints/${created.id}`, { name: 'new' })).json();
    expect(changed).toMatchObject({ name: 'new', url: receiver.url, updated_at: expect.closeTo(Date.now() / 1000, -2) });

    const deleted = await service.inject({ method: 'DELETE', url: `/v1/webhook_endpoints/${created.id}` });
    expect(deleted.json()).toEqual({ id: created.id, object: 'webhook_endpoint.deleted', deleted: true });
    expect((await get(`?after=${created.id}`)).data).toEqual([]);
    for (const path of ['', '/deliveries'])
      expect(refusal(await service.inject({ url: `/v1/webhook_endpoints/${created.id}${path}` }))).toMatchObject({
        status: 404,
        code: 'webhook_endpoint_not_found',
      });
  });

  it('with a rotated secret › is signed for with both for a day if the old one is kept, else with the new one', async () => {
    const { id, signing_secret: first } = await create();
    const rotate = async (body?: object) =>
      (
        await (body
          ? service.post(`/v1/webhook_endpoints/${id}/rotate_secret`, body)
          : service.inject({ method: 'POST', url: `/v1/webhook_endpoints/${id}/rotate_secret` }))
      ).json();
    const { signing_secret: second } = await rotate({ keep_old_secret_active_for_24_hours: true });
    expect(second).not.toBe(first);
    const unwrap = (sent: { body: string; headers: Record<string, string> }, secret: string) =>
      service.client.webhooks.unwrap(sent.body, sent.headers, secret);
    const both = await headersOfTest(id);
    expect(both.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    for (const secret of [first, second]) expect(await unwrap(both, secret)).toMatchObject({ type: 'fine_tuning.job.succeeded' });

    await service.services.database.webhookEndpoint.updateMany({ where: { id }, data: { oldSecretUntil: new Date() } });
    const dayLater = await headersOfTest(id);
    await unwrap(dayLater, second);
    await expect(unwrap(dayLater, first)).rejects.toThrow(/signature/);

    const { signing_secret: third, signing_secret_hint } = await rotate();
    expect(signing_secret_hint).toBe(`whsec_…${third.slice(-4)}`);
    const after = await headersOfTest(id);
    await unwrap(after, third);
    await expect(unwrap(after, second)).rejects.toThrow(/signature/);
  });

  it('that is tested › answers with the status of the receiver, or says why there was none', async () => {
    const { id } = await create();
    receiver.answer = (response) => void response.writeHead(418).end();
    const test = () => service.post(`/v1/webhook_endpoints/${id}/test`, { event_type: 'fine_tuning.job.failed' });
    expect((await test()).json()).toEqual({
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type: 'fine_tuning.job.failed',
      status_code: 418,
      success: true,
    });
    const closed = await startReceiver();
    await closed.close();
    await service.services.database.webhookEndpoint.update({ where: { id }, data: { url: closed.url } });
    expect(refusal(await test())).toMatchObject({
      status: 400,
      code: 'webhook_endpoint_unreachable',
      message: expect.stringMatching(/private address|ECONNREFUSED/),
    });
  });

  it.each([
    [{ url: 'not a url' }, 'invalid_value', 'url'],
    [{ url: 'ftp://example.com/' }, 'invalid_value', 'url'],
    [{ url: 'http://example.com/' }, 'invalid_value', 'url'],
    [{ url: 'https://me:secret@example.com/' }, 'invalid_value', 'url'],
    [{ url: 'https://127.0.0.1/' }, 'invalid_value', 'url'],
    [{ url: 'https://[::ffff:10.0.0.1]/' }, 'invalid_value', 'url'],
    [{ url: 'https://localhost/' }, 'invalid_value', 'url'],
    [{ event_types: ['batch.completed'] }, 'invalid_value', 'event_types.0'],
    [{ event_types: [] }, 'invalid_value', 'event_types'],
    [{ name: '' }, 'invalid_value', 'name'],
    [{ secret: 'mine' }, 'unknown_parameter', 'secret'],
  ])('with %j › is refused', async (fields, code, param) => {
    const answer = await service.post('/v1/webhook_endpoints', { name: 'n', url: receiver.url, event_types, ...fields });
    expect(refusal(answer)).toMatchObject({ status: 400, code, param });
  });

  it('beyond the limit of a project › is refused', async () => {
    for (let count = 0; count < 25; count++) await create();
    expect(refusal(await service.post('/v1/webhook_endpoints', { name: 'n', url: receiver.url, event_types }))).toMatchObject({
      code: 'too_many_webhook_endpoints',
    });
    await service.services.database.webhookEndpoint.deleteMany();
  });
});

it('the event types are listed', async () => {
  expect((await service.inject({ url: '/v1/webhook_event_types' })).json()).toEqual({
    object: 'list',
    data: ['fine_tuning.job.succeeded', 'fine_tuning.job.failed', 'fine_tuning.job.cancelled'],
  });
});

describe('a signing secret', () => {
  it('is encrypted at rest, for its endpoint alone, with a key of mode 600', async () => {
    const { id, signing_secret } = await create();
    const { secret } = (await service.services.database.webhookEndpoint.findUnique({ where: { id } }))!;
    expect(Buffer.from(secret, 'base64').toString('latin1')).not.toContain(signing_secret);
    expect(await service.services.secrets.open(secret, id)).toBe(signing_secret);
    await expect(service.services.secrets.open(secret, 'another')).rejects.toMatchObject({ code: 'secret_unreadable' });
    expect((await stat(join(service.services.config.dataDir, 'webhook-key'))).mode & 0o777).toBe(0o600);
    expect(redacted(`a ${signing_secret} b`)).toBe('a *** b');
  });

  it('opens on another machine with the same WEBHOOK_KEY, and not with another', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'graft-box-'));
    const key = randomBytes(24).toString('hex');
    const sealed = await openSecretBox({ webhookKey: key, dataDir }).seal('whsec_abc', 'whe_1');
    expect(await openSecretBox({ webhookKey: key, dataDir: '/nowhere' }).open(sealed, 'whe_1')).toBe('whsec_abc');
    await expect(openSecretBox({ webhookKey: null, dataDir }).open(sealed, 'whe_1')).rejects.toMatchObject({ code: 'secret_unreadable' });
    await rm(dataDir, { recursive: true });
  });
});

it('the pauses between attempts grow, differ by chance, and fill three days with some twenty attempts', () => {
  let [waited, attempts] = [0, 0];
  while (waited < GIVE_UP_AFTER_MS) {
    attempts++;
    expect(pauseMs(attempts, 0)).toBeLessThan(pauseMs(attempts, 0.999));
    waited += pauseMs(attempts, 0.5);
  }
  expect(attempts).toBeGreaterThan(15);
  expect(attempts).toBeLessThan(25);
});
