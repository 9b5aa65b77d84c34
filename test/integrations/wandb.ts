/** Shows a job to Weights & Biases: as its own client writes a run, through an outage, and with the service's memory lost. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pythonTool } from '../../reference/python/tool.ts';
import { syncIntegrations } from '../../src/integrations/sync.ts';
import { runService } from '../running-service.ts';
import { begunJob, sleepUntilDue, stepsFrom } from './shown-job.ts';
import { type Arrived, type WandbRunAsStored, wandbServer } from './wandb-server.ts';

const KEY = 'a'.repeat(40);
const STEPS = 130;

/** What the interface sees of a request, without its values: names and types. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (value === null || typeof value !== 'object') return typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
}

const upserts = (arrived: readonly Arrived[]) =>
  arrived.flatMap(({ body }) =>
    String(body['query']).includes('upsertBucket') ? [body as { query: string; variables: Record<string, unknown> }] : [],
  );
const streams = (arrived: readonly Arrived[]) => arrived.filter(({ path }) => path.endsWith('/file_stream'));

/** The fields of `upsertBucket` in a mutation, by the variable that they take. */
const fieldsOf = (query: string): Record<string, string> =>
  Object.fromEntries(
    [.../(\w+)\s*:\s*\$(\w+)[,}]/g[Symbol.matchAll](query.slice(query.indexOf('input:')))].map(([, field, variable]) => [variable!, field!]),
  );

export async function testWandb(): Promise<void> {
  const python = await pythonTool('wandb');
  const server = await wandbServer({ key: KEY, entity: 'acme' });
  const service = await runService({ WANDB_API_KEY: KEY, WANDB_BASE_URL: server.url, PUBLIC_URL: 'https://graft.example.com' });
  const { services } = service;
  const { jobRecord, jobs } = services;
  const sync = async () => {
    await sleepUntilDue();
    await services.database.integrationRun.updateMany({ data: { nextAttemptAt: new Date(0) } });
    await syncIntegrations(services);
  };
  const runOf = (id: string): WandbRunAsStored => server.runs.get(`acme/tuning/${id}`)!;
  const messages = async (id: string) => (await service.client.fineTuning.jobs.listEvents(id, { limit: 100 })).data.map(({ message }) => message);
  try {
    await promisify(execFile)(python, [join(import.meta.dirname, 'write_wandb_run.py'), server.url, KEY, 'tuning', 'by-its-own-client', '3']);
    const own = server.arrived.splice(0);
    const theirs = server.runs.get('acme/tuning/by-its-own-client')!;
    assert.deepEqual([theirs.history.length, theirs.exitcode], [3, 0]);

    const integrations = [{ type: 'wandb', wandb: { project: 'tuning', name: 'shown', tags: ['a', 'b'] } }];
    const job = await begunJob(service, { integrations, steps: STEPS });
    await jobRecord.addMetrics(job, stepsFrom(1, 70));
    await sync();
    await sync(); // nothing new: a sign of life
    const url = `${server.url}/acme/tuning/runs/${job.id}`;
    assert.equal((await messages(job.id)).filter((message) => message === `The job is shown by Weights & Biases: ${url}`).length, 1);

    await server.stop();
    console.log('Weights & Biases is away: the job continues');
    await jobRecord.addMetrics(job, stepsFrom(72, STEPS)); // a step without numbers before them
    await sync();
    assert.equal((await jobs.findAny(job.id))!.status, 'running');
    const files = { fineTunedModel: 'ft:graft-tiny:graft::test0002', adapterFolder: 'jobs/x/', trainedTokens: STEPS * 64, files: [], events: [] };
    assert.notEqual(await jobs.succeed(job, files), null);

    await server.start();
    console.log('it is back, and the process that sends has forgotten what it sent last');
    await services.database.integrationRun.updateMany({ data: { step: 20, elapsedMs: 20 * 250, awaySince: null } });
    await sync();
    const run = runOf(job.id);
    const began = job.startedAt!.getTime() / 1000;
    const expected = Array.from({ length: STEPS }, (_, index) => {
      const step = index + 1;
      const numbers = step === 71 ? {} : stepsFrom(step, step)[0]!.metrics;
      const runtime = 0.25 * (step < 71 ? step : step - 1);
      return { _step: step, _runtime: runtime, _timestamp: began + runtime, ...numbers };
    });
    assert.deepEqual(run.history, expected, 'every step is there once');
    assert.deepEqual(run.summary, Object.assign({}, ...expected), 'the summary has the newest value of each number');
    assert.equal(run.exitcode, 0);
    assert.deepEqual(
      [run.displayName, run.tags, run.notes],
      ['shown', ['a', 'b'], `https://graft.example.com/v1/fine_tuning/jobs/${job.id} of Graft`],
    );
    const { model, batch_size, tuning } = run.config as Record<string, { value: unknown }>;
    assert.deepEqual([model!.value, batch_size!.value, (tuning!.value as { type: string }).type], ['graft-tiny', 4, 'lora']);

    // What was sent is what its own client sends.
    const theirFields = fieldsOf(upserts(own)[0]!.query);
    for (const { query, variables } of upserts(server.arrived)) {
      for (const [variable, field] of Object.entries(fieldsOf(query)))
        assert.equal(theirFields[variable], field, `${variable} is the field ${field}`);
      for (const [variable, value] of Object.entries(variables)) {
        const told = upserts(own)
          .map((one) => one.variables[variable])
          .find((one) => one !== null && one !== undefined);
        if (variable !== 'notes' && value !== null)
          assert.deepEqual(shapeOf(value), shapeOf(told), `${variable} has the type that its client gives it`);
      }
    }
    const config = JSON.parse(String(upserts(own)[0]!.variables['config'])) as object;
    assert.ok(Object.values(config).every((each) => Object.keys(each as object).join() === 'value'));
    assert.ok(Object.values(run.config).every((each) => Object.keys(each).join() === 'value'));
    const theirHistory = streams(own).find(({ body }) => 'wandb-history.jsonl' in ((body['files'] ?? {}) as object))!.body as { files: object };
    const ours = streams(server.arrived).find(({ body }) => 'files' in body)!.body as { files: object };
    assert.deepEqual(shapeOf(ours.files), shapeOf(theirHistory.files));
    for (const line of [theirs.history[0]!, run.history[0]!] as Record<string, unknown>[])
      assert.deepEqual(
        ['_runtime', '_step', '_timestamp'].filter((name) => typeof line[name] !== 'number'),
        [],
      );
    const last = streams(own).at(-1)!.body;
    assert.deepEqual([last['complete'], last['exitcode']], [true, 0]);
    assert.equal(streams(own)[0]!.authorization, streams(server.arrived)[0]!.authorization);
    console.log(`Weights & Biases has ${run.history.length} steps, each once, as its own client writes them`);

    const elsewhere = [{ type: 'wandb', wandb: { project: 'tuning', entity: 'someone-else' } }];
    const refused = await begunJob(service, { integrations: elsewhere, steps: 1 });
    await sync();
    const warning = (await messages(refused.id)).find((message) => message.startsWith('Weights & Biases does not accept'));
    assert.match(String(warning), /answered: the key may not write to someone-else\)\. The job itself continues/);
    assert.equal((await jobs.findAny(refused.id))!.status, 'running');
  } finally {
    await server.stop();
    await service.close();
  }
}
