import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_FOLLOWERS } from '../../src/event-streams/stream.ts';
import { DEFAULT_ORGANIZATION, DEFAULT_PROJECT } from '../../src/ids.ts';
import { followEvents } from '../../src/jobs/follow.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';
import { newJob } from './new-job.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const makeJob = async () => (await service.services.jobs.create(DEFAULT_PROJECT, newJob())).job.id;
const say = (id: string, message: string) => service.services.jobRecord.appendEvent(id, { level: 'info', message });
const cancel = (id: string) => service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
const path = (id: string) => `/v1/fine_tuning/jobs/${id}/events?stream=true`;
const headers = { authorization: `Bearer ${API_KEY}` };

interface Stream {
  /** What has been received so far. */
  text(): string;
  messages(): string[];
  /** Resolves when the service has ended the stream. */
  ended: Promise<string>;
  stop(): void;
}

async function follow(id: string): Promise<Stream> {
  const stopping = new AbortController();
  const response = await fetch(`${service.address}${path(id)}`, { headers, signal: stopping.signal });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  let received = '';
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) received += decoder.decode(chunk as Uint8Array, { stream: true });
    return received;
  };
  const ended = read();
  ended.catch(() => {});
  return { text: () => received, messages: () => messagesIn(received), ended, stop: () => stopping.abort() };
}

const messagesIn = (text: string): string[] => [...text.matchAll(/"message":"([^"]*)"/g)].map(([, message]) => message!);
const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `event ${index + 1}`);

describe('the stream of a job', () => {
  it('has the events in the order in which they were committed, and ends with a mark once the job has ended', async () => {
    const id = await makeJob();
    const stream = await follow(id);
    for (const message of numbered(30)) await say(id, message);
    await cancel(id);
    const text = await stream.ended;
    expect(messagesIn(text)).toEqual([...numbered(30), 'The job has been cancelled']);
    expect(text).toMatch(/\n\nevent: done\ndata: \[DONE\]\n\n$/);
  });

  it('of a job that has ended › is whole, and its end comes at once after the last event', async () => {
    const id = await makeJob();
    await cancel(id);
    const last = (await service.inject({ url: `/v1/fine_tuning/jobs/${id}/events` })).json().data[0].id;
    const startedMs = performance.now();
    expect((await service.inject({ url: path(id), headers: { 'last-event-id': last } })).body).toBe('retry: 1000\n\nevent: done\ndata: [DONE]\n\n');
    expect(performance.now() - startedMs).toBeLessThan(10_000); // below the interval of comments
  });

  it('of a job that is deleted › ends', async () => {
    const id = await makeJob();
    const stream = await follow(id);
    await service.inject({ method: 'DELETE', url: `/v1/fine_tuning/jobs/${id}` });
    expect(await stream.ended).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('has an event soon after it is committed, by notice and not by asking again and again', async () => {
    const id = await makeJob();
    const stream = await follow(id);
    await say(id, 'first');
    await expect.poll(() => stream.messages()).toContain('first');
    let waitedMs = 0;
    for (const message of numbered(8)) {
      await delay(100);
      await say(id, message);
      const committedMs = performance.now();
      await expect.poll(() => stream.messages(), { interval: 5, timeout: 10_000 }).toContain(message);
      waitedMs += performance.now() - committedMs;
    }
    stream.stop();
    expect(waitedMs).toBeLessThan(4_000); // asking every two seconds would take about eight
  });

  it('whose notices are cut off again and again › loses nothing and has nothing twice', async () => {
    const id = await makeJob();
    const stream = await follow(id);
    const { database } = service.services;
    let cut = 0;
    for (const [index, message] of numbered(40).entries()) {
      if (index % 5 === 0) {
        const rows = await database.$queryRaw<unknown[]>`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'graft graft_job_events'`;
        cut += rows.length;
      }
      await say(id, message);
      await delay(100);
    }
    await cancel(id);
    expect(messagesIn(await stream.ended)).toEqual([...numbered(40), 'The job has been cancelled']);
    expect(cut).toBeGreaterThan(1);
  });
});

describe('a hundred streams of one job', () => {
  it('cost as many reads of the database as one', async () => {
    const { database, config } = service.services;
    await database.$executeRawUnsafe(`ALTER SYSTEM SET log_statement = 'all'`);
    await database.$executeRawUnsafe('SELECT pg_reload_conf()');
    const logFile = join(config.dataDir, 'postgres/postgres.log');
    const id = await makeJob();
    const before = (await readFile(logFile, 'utf8')).length;
    const streams = await Promise.all(Array.from({ length: 100 }, () => follow(id)));
    for (const message of numbered(20)) await say(id, message);
    await cancel(id);
    for (const stream of streams) expect(messagesIn(await stream.ended)).toEqual([...numbered(20), 'The job has been cancelled']);
    const statements = (await readFile(logFile, 'utf8')).slice(before).split('\n');
    const reads = statements.filter((line) => /SELECT .* FROM "public"."job_events"/.test(line));
    await database.$executeRawUnsafe('ALTER SYSTEM RESET log_statement');
    await database.$executeRawUnsafe('SELECT pg_reload_conf()');
    expect(statements.some((line) => line.includes('INSERT INTO "public"."job_events"'))).toBe(true); // the log has statements
    expect(reads.length).toBeGreaterThan(0);
    expect(reads.length).toBeLessThanOrEqual(2 * 21 + 4); // two for each event, however many streams there are
  });
});

describe('a reader that goes away', () => {
  it('is forgotten at once, not when something happens next', async () => {
    await expect.poll(() => service.services.eventFeeds.followers, { timeout: 10_000 }).toBe(0);
    const stream = await follow(await makeJob());
    await expect.poll(() => stream.text()).toContain('retry:');
    await delay(500); // it waits for an event now
    expect(service.services.eventFeeds.followers).toBe(1);
    stream.stop();
    await expect.poll(() => service.services.eventFeeds.followers, { timeout: 10_000 }).toBe(0);
  });
});

describe('a slow reader', () => {
  it('has every event in the end, while a fast one of the same job does not wait for it', async () => {
    const id = await makeJob();
    const slow = httpGet(`${service.address}${path(id)}`, { headers });
    const [response] = (await once(slow, 'response')) as [IncomingMessage];
    response.pause();
    const fast = await follow(id);
    // Far more than the buffers of a connection take.
    const count = 20_000;
    for (let from = 1; from <= count; from += 2_000)
      await service.services.database.$executeRaw`
        INSERT INTO job_events (id, job_id, level, message, type)
        SELECT 'ftevent-slow-' || n, ${id}, 'info', 'event ' || n || repeat(' ', 1000), 'message' FROM generate_series(${from}::int, ${from + 1_999}::int) AS n`;
    await cancel(id);
    const fastText = await fast.ended;
    expect(messagesIn(fastText)).toHaveLength(count + 1);
    let slowText = '';
    for await (const chunk of response) slowText += chunk;
    const comments = /: still here\n\n/g;
    expect(slowText.replaceAll(comments, '')).toBe(fastText.replaceAll(comments, ''));
  });
});

describe('more streams than a process serves', () => {
  it('are refused so that the client tries again, until one of them is closed', async () => {
    const id = await makeJob();
    const principal = { organization: DEFAULT_ORGANIZATION, project: DEFAULT_PROJECT };
    await expect.poll(() => service.services.eventFeeds.followers, { timeout: 10_000 }).toBe(0); // every stream before was closed
    const open = () => followEvents(principal, id, service.services, { after: null, signal: new AbortController().signal });
    const streams = await Promise.all(Array.from({ length: MAX_FOLLOWERS }, open));
    expect(refusal(await service.inject({ url: path(id) }))).toMatchObject({ status: 503, code: 'too_many_streams' });
    for (const stream of streams) stream.destroy();
    await expect.poll(() => service.services.eventFeeds.followers).toBe(0);
    await cancel(id);
    expect((await service.inject({ url: path(id) })).statusCode).toBe(200);
  });
});
