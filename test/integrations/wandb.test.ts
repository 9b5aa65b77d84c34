import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syncIntegrations } from '../../src/integrations/sync.ts';
import type { Job, StepMetric } from '../../src/jobs/job.ts';
import { type RunningService, runService } from '../running-service.ts';
import { begunJob, stepsFrom } from './shown-job.ts';
import { ENTITY, KEY, PARTS, type Part, PROJECT, partsOf, RUN, timeless } from './wandb-recording.ts';
import { type Arrived, wandbServer } from './wandb-server.ts';

/** Of wandb 0.31.0. */
const recorded = JSON.parse(readFileSync(new URL('../fixtures/wandb/requests.json', import.meta.url), 'utf8')) as Arrived[];
const INTEGRATIONS = [{ type: 'wandb', wandb: { project: PROJECT, name: 'shown', tags: ['a', 'b'] } }];

let server: Awaited<ReturnType<typeof wandbServer>>;
let service: RunningService;
beforeAll(async () => {
  server = await wandbServer({ key: KEY, entity: ENTITY });
  service = await runService({ WANDB_API_KEY: KEY, WANDB_BASE_URL: server.url });
});
afterAll(async () => {
  await server?.stop();
  await service?.close();
});

/** What has arrived about this job. */
const arrivedOf = (job: Job): Arrived[] => server.arrived.filter((request) => JSON.stringify(request).includes(job.id)).map(timeless);

/** Sends what there is to send, however soon after the last time. */
async function sync(): Promise<void> {
  await service.services.database.integrationRun.updateMany({ data: { nextAttemptAt: new Date(0) } });
  await syncIntegrations(service.services);
}

const losses = (first: number, last: number): StepMetric[] =>
  stepsFrom(first, last).map(({ step, metrics }) => ({ step, metrics: { train_loss: metrics['train_loss']! } }));
const error = { code: 'worker_lost', message: 'its worker was lost', param: null };
const delivered = ({ id }: Job) => ({
  fineTunedModel: `ft:graft-tiny:graft::${id}`,
  adapterFolder: `jobs/${id}/`,
  trainedTokens: 64,
  files: [],
  events: [],
});

/** A job that fails after three steps, and is resumed for two more: what the recorded client did. */
async function resumedJob(): Promise<Job> {
  const { jobs, jobRecord } = service.services;
  const job = await begunJob(service, { integrations: INTEGRATIONS, steps: 5 });
  await jobRecord.addMetrics(job, losses(1, 3));
  await sync();
  await jobs.move(job.id, 'fail', { attempt: job.attempt, patch: { error }, events: [] });
  await sync();
  await service.client.fineTuning.jobs.resume(job.id);
  const resumed = (await jobs.claim(job.id, 'worker-test'))!;
  await sync();
  await jobs.begin(resumed, { read: { patch: {} }, start: {} });
  await jobRecord.addMetrics(resumed, losses(4, 5));
  await jobs.succeed(resumed, delivered(job));
  await sync();
  return job;
}

describe("a job with OpenAI's integration, where the service has a key", () => {
  it('is shown by Weights & Biases, and is told no warning', async () => {
    const job = await begunJob(service, { integrations: [{ type: 'wandb', wandb: { project: PROJECT } }], steps: 3 });
    await service.services.jobRecord.addMetrics(job, stepsFrom(1, 2));
    await sync();
    const run = server.runs.get(`${ENTITY}/${PROJECT}/${job.id}`)!;
    expect(run.history.map(({ _step, train_loss }) => [_step, train_loss])).toEqual([
      [1, 4],
      [2, 2],
    ]);
    const { data: events } = await service.client.fineTuning.jobs.listEvents(job.id);
    expect(events.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(events.map(({ message }) => message)).toContain(`The job is shown by Weights & Biases: ${server.url}/${ENTITY}/${PROJECT}/runs/${job.id}`);
  });

  it('that fails and is resumed › writes what W&B’s own client writes of such a run, line by line', async () => {
    const job = await resumedJob();
    const [theirs, ours] = [partsOf(recorded), partsOf(arrivedOf(job))];
    const streamed = (parts: Part[], name: string) =>
      parts.map(({ history, summary, exitcode, paths }) => ({ history, summary, exitcode, paths: paths.map((path) => path.replace(name, 'NAME')) }));
    expect(streamed(ours, job.id).map(({ exitcode }) => exitcode)).toEqual(PARTS.map(([, , exitcode]) => exitcode));
    expect(streamed(ours, job.id)).toEqual(streamed(theirs, RUN));
    expect(new Set(server.arrived.map(({ authorization }) => authorization))).toEqual(new Set(recorded.map(({ authorization }) => authorization)));
    // A run is made, or brought back, before anything is streamed to it.
    for (const { upserts } of ours) expect(upserts.length).toBeGreaterThan(0);
    const messages = (await service.client.fineTuning.jobs.listEvents(job.id)).data.map(({ message }) => message);
    expect(messages.filter((message) => message.startsWith('The job is shown by'))).toHaveLength(1);
  });

  it('makes its run with the fields and types of W&B’s own client', async () => {
    const job = await resumedJob();
    const own = partsOf(recorded)[0]!.upserts[0]!;
    for (const { query, variables } of partsOf(arrivedOf(job)).flatMap(({ upserts }) => upserts)) {
      expect(fieldsOf(own.query)).toMatchObject(fieldsOf(query));
      expect(typesOf(own.query)).toMatchObject(typesOf(query));
      expect(Object.keys(typesOf(query))).toEqual(expect.arrayContaining(Object.keys(variables)));
    }
    const { config, notes, name, ...made } = partsOf(arrivedOf(job))[0]!.upserts[0]!.variables;
    expect(own.variables).toMatchObject(made);
    const described = partsOf(arrivedOf(job))[0]!.upserts[1]!.variables['config'];
    for (const entry of Object.values({ ...JSON.parse(String(own.variables['config'])), ...JSON.parse(String(described)) }))
      expect(Object.keys(entry as object)).toEqual(['value']);
  });
});

describe('a job whose Weights & Biases is away', () => {
  it('when it fails and when it is resumed › has every step once, and no end before the last, when it is back', async () => {
    const { jobs, jobRecord } = service.services;
    const job = await begunJob(service, { integrations: INTEGRATIONS, steps: 5 });
    await server.stop();
    await jobRecord.addMetrics(job, losses(1, 3));
    await sync();
    await jobs.move(job.id, 'fail', { attempt: job.attempt, patch: { error }, events: [] });
    await sync();
    await service.client.fineTuning.jobs.resume(job.id);
    await sync();
    await server.start();
    const resumed = (await jobs.claim(job.id, 'worker-test'))!;
    await jobs.begin(resumed, { read: { patch: {} }, start: {} });
    await jobRecord.addMetrics(resumed, losses(4, 5));
    await jobs.succeed(resumed, delivered(job));
    await sync();
    const run = server.runs.get(`${ENTITY}/${PROJECT}/${job.id}`)!;
    expect([run.history.map(({ _step }) => _step), run.exitcode]).toEqual([[1, 2, 3, 4, 5], 0]);
    expect(partsOf(arrivedOf(job))).toHaveLength(1);
  });
});

describe('the stand-in', () => {
  const authorization = `Basic ${Buffer.from(`api:${KEY}`).toString('base64')}`;
  const post = (path: string, body: object, key = authorization) =>
    fetch(`${server.url}${path}`, { method: 'POST', headers: { authorization: key }, body: JSON.stringify(body) }).then(({ status }) => status);
  const path = `/files/${ENTITY}/${PROJECT}/${RUN}/file_stream`;
  const history = (offset: number) => ({ files: { 'wandb-history.jsonl': { offset, content: ['{}'] } } });

  it('accepts all that W&B’s own client sent, and has its run', async () => {
    for (const { path: to, body } of recorded) expect(await post(to, body), JSON.stringify(body)).toBe(200);
    const { history: lines, exitcode } = server.runs.get(`${ENTITY}/${PROJECT}/${RUN}`)!;
    expect([lines.map(({ _step }) => _step), exitcode]).toEqual([[1, 2, 3, 4, 5], 0]);
  });

  it('refuses a wrong key, an unknown run, a gap in the history, and lines of a run that has ended', async () => {
    const [{ body: begin }] = recorded.filter(({ body }) => body['operationName'] === 'UpsertBucket') as [Arrived];
    expect(await post('/graphql', begin, 'Basic eDp5')).toBe(401);
    expect(await post(path.replace(RUN, 'unknown'), history(0))).toBe(400);
    await post('/graphql', begin);
    const { length } = server.runs.get(`${ENTITY}/${PROJECT}/${RUN}`)!.history;
    expect(await post(path, history(length + 1))).toBe(400);
    expect(await post(path, history(length))).toBe(200);
    await post(path, { complete: true, exitcode: 0 });
    expect(await post(path, history(length))).toBe(400);
  });
});

/** The fields of `upsertBucket` in a mutation, by the variable that they take. */
const fieldsOf = (query: string): Record<string, string> =>
  Object.fromEntries([...query.slice(query.indexOf('input:')).matchAll(/(\w+)\s*:\s*\$(\w+)/g)].map(([, field, variable]) => [variable!, field!]));

/** The types of a mutation's variables. */
const typesOf = (query: string): Record<string, string> =>
  Object.fromEntries([...query.matchAll(/\$(\w+)\s*:\s*([[\]\w!]+)/g)].map(([, variable, type]) => [variable!, type!]));
