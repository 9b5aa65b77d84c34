import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openTracing } from '../../src/tracing/open.ts';
import { noTracing, type Tracing } from '../../src/tracing/tracing.ts';
import { type LocalServer, startLocalServer } from '../local-server.ts';
import { superviseJobs } from '../workers/job/supervised-jobs.ts';

interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
  status: { code: number };
}
interface Received extends OtlpSpan {
  service: string;
}

const TRACE = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const CALLER = 'ca11e5ca11e5ca11';

let received: Received[] = [];
let collector: LocalServer;
let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let workers: Tracing;

beforeAll(async () => {
  collector = await startLocalServer(async (request, response) => {
    interface Sent {
      resourceSpans: { resource: { attributes: OtlpSpan['attributes'] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
    }
    const { resourceSpans } = (await json(request)) as Sent;
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')!.value.stringValue!;
      received.push(...scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service }))));
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  jobs = await superviseJobs({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const { config, log } = jobs.service.services;
  workers = await openTracing(config.tracing, { part: 'worker', log });
});
afterAll(async () => {
  await workers?.close();
  await jobs?.close();
  await collector?.close();
});

async function trace(fields: object = {}): Promise<{ id: string; spans: Map<string, Received> }> {
  received = [];
  const body = { model: 'graft-tiny', training_file: await jobs.service.upload(), tuning: { type: 'lora', r: 4 }, hyperparameters: { n_epochs: 1 } };
  const response = await jobs.service.inject({
    method: 'POST',
    url: '/v1/fine_tuning/jobs',
    headers: { 'content-type': 'application/json', traceparent: `00-${TRACE}-${CALLER}-01` },
    payload: JSON.stringify({ ...body, ...fields }),
  });
  const { id } = response.json<{ id: string }>();
  await jobs.supervise(id, { services: { tracing: workers } });
  const ofJob = () => received.filter(({ traceId }) => traceId === TRACE);
  await vi.waitFor(() => expect(ofJob().map(({ name }) => name)).toEqual(expect.arrayContaining(['POST /v1/fine_tuning/jobs', 'job attempt'])), {
    timeout: 30_000,
    interval: 200,
  });
  return { id, spans: new Map(ofJob().map((span) => [span.name, span])) };
}

describe('a job that is traced', () => {
  it("is one trace of API, queue, worker and training process, which continues the caller's", async () => {
    const { id, spans } = await trace();
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded' });
    const found = Object.fromEntries([...spans].map(([name, { service, kind }]) => [name, [service, kind]]));
    // OTLP counts kinds from 1: internal, server, client, producer, consumer.
    expect(found).toEqual({
      'POST /v1/fine_tuning/jobs': ['graft-api', 2],
      enqueue: ['graft-api', 4],
      'wait in queue': ['graft-worker', 5],
      'job attempt': ['graft-worker', 5],
      deliver: ['graft-worker', 1],
      prepare: ['graft-training', 1],
      train: ['graft-training', 1],
      verify: ['graft-training', 1],
    });
    const parentOf = (name: string) => [...spans.values()].find(({ spanId }) => spanId === spans.get(name)!.parentSpanId)?.name;
    expect(spans.get('POST /v1/fine_tuning/jobs')!.parentSpanId).toBe(CALLER);
    expect(['enqueue', 'wait in queue', 'job attempt'].map(parentOf)).toEqual(Array(3).fill('POST /v1/fine_tuning/jobs'));
    expect(['deliver', 'prepare', 'train', 'verify'].map(parentOf)).toEqual(Array(4).fill('job attempt'));
    const times = (name: string) => [BigInt(spans.get(name)!.startTimeUnixNano), BigInt(spans.get(name)!.endTimeUnixNano)] as const;
    const [began, ended] = times('job attempt');
    for (const name of ['prepare', 'train', 'verify']) {
      const [from, to] = times(name);
      expect(from >= began && from < to && to <= ended, name).toBe(true);
    }
    expect(spans.get('job attempt')!.attributes).toContainEqual({ key: 'graft.job_id', value: { stringValue: id } });
  });

  it('and fails › has the code of its error, and none of its data', async () => {
    const secret = 'a text that nobody may read in a trace';
    const { id, spans } = await trace({
      training_file: await jobs.service.upload(`{"prompt": "${secret}", "completion": "x"}\n`),
      hyperparameters: { n_epochs: 1, max_length: 8 },
    });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'failed' });
    const failed = spans.get('job attempt')!;
    expect([failed.status.code, failed.attributes.some(({ key }) => key === 'error.type')]).toEqual([2, true]);
    expect(JSON.stringify([...spans.values()])).not.toContain(secret);
  });

  it('with a collector that cannot be reached › trains as usual', async () => {
    const { config, log } = jobs.service.services;
    const lost = await openTracing({ ...config.tracing!, url: 'http://127.0.0.1:9/v1/traces' }, { part: 'worker', log });
    const id = await jobs.makeJob();
    await jobs.supervise(id, { services: { tracing: lost } });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded' });
    await lost.close();
  });
});

describe('without a collector', () => {
  it('nothing is traced, and a protocol that is not spoken is refused', async () => {
    const off = readConfig({}).tracing;
    expect(await openTracing(off, { part: 'api', log: jobs.service.services.log })).toBe(noTracing);
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    expect(() => readConfig(settings)).toThrow(/OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"/);
    expect(readConfig({ ...settings, OTEL_SDK_DISABLED: 'true' }).tracing).toBeNull();
  });
});
