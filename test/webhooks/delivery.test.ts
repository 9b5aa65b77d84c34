import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDeliverer } from '../../src/webhooks/deliver.ts';
import { type RunningService, runService } from '../running-service.ts';
import { accept, type Receiver, startReceiver } from './receiver.ts';

let service: RunningService;
let training_file: string;
let receiver: Receiver;
beforeAll(async () => {
  service = await runService({ ALLOW_PRIVATE_HOSTS: '127.0.0.1' });
  training_file = await service.upload();
  receiver = await startReceiver();
});
afterAll(async () => {
  await service.close();
  await receiver.close();
});
afterEach(async () => {
  receiver.answer = accept;
  receiver.received.length = 0;
  for (const { id } of (await service.inject({ url: '/v1/webhook_endpoints' })).json().data)
    await service.inject({ method: 'DELETE', url: `/v1/webhook_endpoints/${id}` });
});

const ALL = ['fine_tuning.job.succeeded', 'fine_tuning.job.failed', 'fine_tuning.job.cancelled'];

async function makeEndpoint(url = receiver.url, event_types = ALL): Promise<{ id: string; signing_secret: string }> {
  return (await service.post('/v1/webhook_endpoints', { name: 'mine', url, event_types })).json();
}

async function cancelledJob(): Promise<string> {
  const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
  await service.inject({ method: 'POST', url: `/v1/fine_tuning/jobs/${id}/cancel` });
  return id;
}

/** Makes all attempts that are due. */
async function send(): Promise<void> {
  const deliverer = openDeliverer(service.services);
  await deliverer.begin();
  await deliverer.idle();
}

/** Lets the pause before the next attempt be over. */
const afterPause = () => service.services.database.webhookDelivery.updateMany({ where: { status: 'pending' }, data: { nextAttemptAt: new Date(0) } });

const log = async (id: string) => (await service.inject({ url: `/v1/webhook_endpoints/${id}/deliveries` })).json().data;

describe('a job that ends', () => {
  it('is reported with a signature that the official client verifies, and the log says so', async () => {
    const { id, signing_secret } = await makeEndpoint();
    const job = await cancelledJob();
    await send();
    const [{ headers, body } = { headers: {}, body: '' }, ...more] = receiver.received;
    expect(more).toEqual([]);
    const event = await service.client.webhooks.unwrap(body, headers as Record<string, string>, signing_secret);
    expect(event).toEqual({
      object: 'event',
      id: expect.stringMatching(/^evt_/),
      type: 'fine_tuning.job.cancelled',
      created_at: expect.closeTo(Date.now() / 1000, -2),
      data: { id: job },
    });
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': expect.stringMatching(/^wh_/) });
    await expect(service.client.webhooks.unwrap(`${body} `, headers as Record<string, string>, signing_secret)).rejects.toThrow(/signature/);
    expect(await log(id)).toEqual([
      {
        id: headers['webhook-id'],
        object: 'webhook_endpoint.delivery',
        created_at: event.created_at,
        event: { id: event.id, type: event.type, data: { id: job } },
        status: 'delivered',
        next_attempt_at: null,
        attempts: [{ at: expect.any(String), status_code: 204, duration_ms: expect.any(Number), error: null }],
      },
    ]);
    await send();
    expect(receiver.received).toHaveLength(1);
  });

  it.each(['succeed', 'fail'] as const)('by %s in a worker › is reported to the endpoints that asked for it', async (move) => {
    const type = `fine_tuning.job.${move}ed`;
    const { services } = service;
    const wanted = await makeEndpoint(receiver.url, [type]);
    const other = await makeEndpoint(receiver.url, ['fine_tuning.job.cancelled']);
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
    const { attempt } = (await services.jobs.claim(id, 'worker-a'))!;
    await services.jobs.begin({ id, attempt }, { read: {}, start: {} });
    if (move === 'fail') await services.jobs.move(id, 'fail', { attempt });
    else
      await services.jobs.succeed(
        { id, attempt },
        { fineTunedModel: `ft:graft-tiny:${id}`, adapterFolder: `jobs/${id}/`, trainedTokens: 1, files: [], events: [] },
      );
    expect(await log(wanted.id)).toMatchObject([{ status: 'pending', event: { type, data: { id } }, attempts: [] }]);
    expect(await log(other.id)).toEqual([]);
    await send();
    expect(receiver.received.map(({ body }) => JSON.parse(body).type)).toEqual([type]);
  });

  it('because its worker was lost too often › is reported', async () => {
    const { jobs, setbacks } = service.services;
    const { id: endpoint } = await makeEndpoint();
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json();
    for (let became: string | null = 'queued'; became === 'queued'; ) {
      const { attempt } = (await jobs.claim(id, 'worker-a'))!;
      became = await setbacks.lose({ id, attempt }, 'The worker was lost');
    }
    expect(await log(endpoint)).toMatchObject([{ event: { type: 'fine_tuning.job.failed', data: { id } } }]);
  });

  it('while its endpoint is deleted › ends all the same', async () => {
    const { database } = service.services;
    const { id } = await makeEndpoint();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const deleting = database.$transaction(async (tx) => {
      await tx.webhookEndpoint.delete({ where: { id } });
      await held;
    });
    const cancelling = cancelledJob();
    setTimeout(release, 500);
    await deleting;
    const job = (await service.inject({ url: `/v1/fine_tuning/jobs/${await cancelling}` })).json();
    expect(job.status).toBe('cancelled');
  });
});

describe('a receiver', () => {
  it('that fails › is tried again with the same id, a new time and a longer pause each time', async () => {
    const { id, signing_secret } = await makeEndpoint();
    await cancelledJob();
    receiver.answer = (response) => void response.writeHead(500).end('sorry');
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      await send();
      const [{ next_attempt_at, status }] = await log(id);
      expect(status).toBe('pending');
      pauses.push(next_attempt_at - Date.now() / 1000);
      await send(); // not due
      expect(receiver.received).toHaveLength(attempt);
      await afterPause();
    }
    for (const [index, pause] of pauses.entries()) expect(pause / 3 ** index).toSatisfy((seconds: number) => seconds > 3 && seconds < 6.1);
    receiver.answer = accept;
    await send();
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const { body, headers } = receiver.received.at(-1)!;
    await service.client.webhooks.unwrap(body, headers as Record<string, string>, signing_secret);
    const [{ status, attempts }] = await log(id);
    expect(status).toBe('delivered');
    expect(attempts.map(({ status_code, error }: Record<string, unknown>) => [status_code, error])).toEqual([
      ...Array(3).fill([500, 'it answered 500']),
      [204, null],
    ]);
  });

  it('that fails for three days › is given up', async () => {
    const { id } = await makeEndpoint();
    await cancelledJob();
    await service.services.database.webhookDelivery.updateMany({ data: { createdAt: new Date(Date.now() - 72 * 3_600_000) } });
    receiver.answer = (response) => void response.writeHead(500).end();
    await send();
    expect(await log(id)).toMatchObject([{ status: 'failed', next_attempt_at: null }]);
  });

  it('that redirects › is not followed', async () => {
    const elsewhere = await startReceiver();
    const { id } = await makeEndpoint();
    await cancelledJob();
    receiver.answer = (response) => void response.writeHead(307, { location: elsewhere.url }).end();
    await send();
    expect(elsewhere.received).toEqual([]);
    await elsewhere.close();
    const [{ attempts }] = await log(id);
    expect(attempts).toMatchObject([{ status_code: 307, error: expect.stringMatching(/redirects are not followed/) }]);
  });

  it('that does not answer, or answers without end › is cut off and does not hold up the others', async () => {
    const slow = await startReceiver();
    let isEndless = false;
    slow.answer = (response) => {
      if (!isEndless) return;
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'.repeat(100_000)), 1);
      response.once('close', () => clearInterval(timer));
    };
    const [{ id }, quick] = [await makeEndpoint(slow.url), await makeEndpoint()];
    await cancelledJob();
    const startedMs = performance.now();
    const sending = send();
    await expect.poll(async () => (await log(quick.id))[0].status).toBe('delivered');
    await sending;
    expect(performance.now() - startedMs).toBeGreaterThan(9_000);
    expect(await log(id)).toMatchObject([{ status: 'pending', attempts: [{ status_code: null, error: 'it did not answer within 10 s' }] }]);
    isEndless = true;
    await afterPause();
    await send();
    expect((await log(id))[0]).toMatchObject({ status: 'delivered', attempts: [{}, { status_code: 200, error: null }] });
    await slow.close();
  });

  it('that is gone › gets nothing more until its URL is given again', async () => {
    const { id } = await makeEndpoint();
    await cancelledJob();
    await cancelledJob();
    receiver.answer = (response) => void response.writeHead(410).end();
    await send();
    const find = async () => (await service.inject({ url: `/v1/webhook_endpoints/${id}` })).json();
    expect(await find()).toMatchObject({ disabled_at: expect.any(Number) });
    expect((await log(id)).map(({ status }: { status: string }) => status)).toEqual(['failed', 'failed']);
    await cancelledJob();
    expect(await log(id)).toHaveLength(2);
    expect((await service.post(`/v1/webhook_endpoints/${id}`, { url: receiver.url })).json()).toMatchObject({ disabled_at: null });
    await cancelledJob();
    expect(await log(id)).toHaveLength(3);
  });

  it('at an address that is private now › is not connected to', async () => {
    const { id } = await makeEndpoint();
    await cancelledJob();
    await service.services.database.webhookEndpoint.updateMany({ data: { url: receiver.url.replace('127.0.0.1', 'localhost') } });
    await send();
    expect(receiver.received).toEqual([]);
    expect(await log(id)).toMatchObject([{ attempts: [{ status_code: null, error: expect.stringMatching(/has a private address/) }] }]);
  });
});

describe('several processes', () => {
  it('that send at once › send every event once', async () => {
    await makeEndpoint();
    for (let count = 0; count < 12; count++) await cancelledJob();
    const deliverers = [1, 2, 3].map(() => openDeliverer(service.services));
    for (let round = 0; round < 6; round++) {
      await Promise.all(deliverers.map((deliverer) => deliverer.begin()));
      await Promise.all(deliverers.map((deliverer) => deliverer.idle()));
    }
    expect(receiver.received).toHaveLength(12);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(12);
  });

  it('of which one dies after it took an event › the others send it when its time is over', async () => {
    const { id } = await makeEndpoint();
    await cancelledJob();
    const [taken] = await service.services.deliveries.claim(10, { except: [], perEndpoint: 4 });
    await send();
    expect(receiver.received).toEqual([]);
    await afterPause();
    await send();
    expect(receiver.received).toHaveLength(1);
    // It was only slow: what it reports now is too late.
    await service.services.deliveries.record(
      taken!,
      { at: new Date().toISOString(), status_code: 500, duration_ms: 1, error: 'late' },
      { status: 'failed', pauseMs: null },
    );
    expect(await log(id)).toMatchObject([{ status: 'delivered', attempts: [{ status_code: 204 }] }]);
  });

  it('of which one is killed while the receiver has not answered › the next one sends the same event again', { timeout: 240_000 }, async () => {
    const { id, signing_secret } = await makeEndpoint();
    receiver.answer = () => {};
    const first = startProcess();
    await cancelledJob();
    await expect.poll(() => receiver.received.length, { timeout: 100_000, interval: 50 }).toBe(1);
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(await log(id)).toMatchObject([{ status: 'pending', attempts: [] }]);

    receiver.answer = accept;
    await afterPause();
    const second = startProcess();
    await expect.poll(async () => (await log(id))[0].status, { timeout: 100_000, interval: 200 }).toBe('delivered');
    second.kill('SIGKILL');
    await once(second, 'exit');
    expect(receiver.received).toHaveLength(2);
    const [before, after] = receiver.received.map(({ headers, body }) => [headers['webhook-id'], body]);
    expect(after).toEqual(before);
    const { headers, body } = receiver.received[1]!;
    await service.client.webhooks.unwrap(body, headers as Record<string, string>, signing_secret);
  });
});

/** An API process of its own, on the same servers. */
function startProcess(): ChildProcess {
  const { urls, config } = service.services;
  const servers = { DATABASE_URL: urls.database, REDIS_URL: urls.redis, STORAGE_URL: urls.storage, DATA_DIR: config.dataDir };
  const settings = { ROOT_API_KEY: 'a-key-of-enough-length', ALLOW_PRIVATE_HOSTS: '127.0.0.1', PORT: '0', WORKERS: '0', LOG_LEVEL: 'warn' };
  return spawn(process.execPath, ['scripts/run.mjs', 'src/server.ts'], { env: { ...process.env, ...servers, ...settings }, stdio: 'ignore' });
}
