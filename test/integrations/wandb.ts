/** Shows a job to Weights & Biases through an outage, and with the service's memory lost; and records again what its own client sends. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncIntegrations } from '../../src/integrations/sync.ts';
import { runService } from '../running-service.ts';
import { begunJob, sleepUntilDue, stepsFrom } from './shown-job.ts';
import { ENTITY, KEY, type Part, partsOf, recordOwnClient } from './wandb-recording.ts';
import { type Arrived, type WandbRunAsStored, wandbServer } from './wandb-server.ts';

const STEPS = 130;

/** Whether its own client still sends what it sent when it was recorded; wandb.test.ts compares Graft with that. */
async function testRecording(): Promise<void> {
  const recorded = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/wandb/requests.json'), 'utf8')) as Arrived[];
  // How often it repeats the configuration depends on the clock.
  const madeOnce = (parts: Part[]) => parts.map(({ upserts, ...part }) => ({ ...part, made: upserts[0] }));
  assert.deepEqual(madeOnce(partsOf(await recordOwnClient())), madeOnce(partsOf(recorded)));
  console.log("Weights & Biases' own client sends what was recorded of it");
}

export async function testWandb(): Promise<void> {
  await testRecording();
  const server = await wandbServer({ key: KEY, entity: ENTITY });
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

    console.log(`Weights & Biases has ${run.history.length} steps, each once`);

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
