/**
 * `npm run test:integrations`: shows a job to MLflow's own server, which goes away and comes back meanwhile, and reads the run with MLflow's own client.
 * Reads the job's event file with TensorBoard's own package. Shows another job to a stand-in for Weights & Biases, which its own client writes to as well.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonTool } from '../../reference/python/tool.ts';
import { syncIntegrations } from '../../src/integrations/sync.ts';
import { runService } from '../running-service.ts';
import { mlflowServer } from './mlflow-server.ts';
import { begunJob, sleepUntilDue, stepsFrom } from './shown-job.ts';
import { testWandb } from './wandb.ts';

const EXPERIMENT = 'graft/test';
const STEPS = 150;

interface Run {
  name: string;
  status: string;
  start: number;
  end: number;
  params: Record<string, string>;
  tags: Record<string, string>;
  /** By metric: step, value and time in ms. */
  history: Record<string, [number, number, number][]>;
}

const scratch = mkdtempSync(join(tmpdir(), 'graft-integrations-'));
const [mlflowPython, tensorboardPython] = [await pythonTool('mlflow'), await pythonTool('tensorboard')];
const server = await mlflowServer(mlflowPython, scratch);
const service = await runService({ MLFLOW_TRACKING_URI: server.uri, PUBLIC_URL: 'https://graft.example.com' });
const { services } = service;
const { jobs, jobRecord } = services;

const python = <T>(program: string, script: string, ...args: string[]): T =>
  JSON.parse(execFileSync(program, [join(import.meta.dirname, script), ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 })) as T;
const runs = () => python<Run[]>(mlflowPython, 'read_runs.py', server.uri, EXPERIMENT);
const sync = async () => {
  await sleepUntilDue();
  await syncIntegrations(services);
};

try {
  const integrations = [{ type: 'mlflow', mlflow: { experiment_name: EXPERIMENT, run_name: 'first', tags: { team: 'tests' } } }];
  const job = await begunJob(service, { integrations, steps: STEPS });
  console.log('the server is away: the job continues');
  await jobRecord.addMetrics(job, stepsFrom(1, 50));
  await sync();
  assert.equal((await jobs.findAny(job.id))!.status, 'running');

  await server.start();
  console.log('the server is there');
  await sync();
  const [first] = runs();
  assert.equal(first!.history['train_loss']!.length, 50);
  assert.deepEqual([first!.name, first!.status], ['first', 'RUNNING']);

  await server.stop();
  console.log('the server is killed, and the job ends without it');
  await jobRecord.addMetrics(job, stepsFrom(51, STEPS));
  await sync();
  const files = { fineTunedModel: 'ft:graft-tiny:graft::test0001', adapterFolder: 'jobs/x/', trainedTokens: STEPS * 64, files: [], events: [] };
  assert.notEqual(await jobs.succeed(job, files), null);

  await server.start();
  console.log('the server is back, and the process that sends has forgotten what it sent last');
  await services.database.integrationRun.updateMany({ data: { step: 20, elapsedMs: 20 * 250, runId: null } });
  await sync();
  await sync();
  const all = runs();
  assert.equal(all.length, 1, 'the job has one run');
  const [run] = all as [Run];
  const began = job.startedAt!.getTime();
  const expected = stepsFrom(1, STEPS);
  for (const key of ['train_loss', 'learning_rate', 'full_valid_loss', 'seconds'])
    assert.deepEqual(
      run.history[key]!.sort(([a], [b]) => a - b),
      expected.flatMap(({ step, metrics }) => (metrics[key] === undefined ? [] : [[step, metrics[key], began + 250 * step]])),
      `${key} is there once for each step`,
    );
  assert.equal(run.status, 'FINISHED');
  assert.equal(run.start, began);
  assert.equal(run.end, (await jobs.findAny(job.id))!.finishedAt!.getTime());
  const { model, seed, batch_size, 'tuning.type': type } = run.params as Record<string, string>;
  assert.deepEqual({ model, seed, batch_size, type }, { model: 'graft-tiny', seed: '7', batch_size: '4', type: 'lora' });
  assert.equal(run.tags['team'], 'tests');
  assert.equal(run.tags['graft.adapter_url'], `https://graft.example.com/v1/fine_tuning/jobs/${job.id}/adapter`);
  console.log(`MLflow has ${run.history['train_loss']!.length} steps, each once, with ${Object.keys(run.params).length} parameters`);

  const failing = await begunJob(service, {
    integrations: [{ type: 'mlflow', mlflow: { experiment_name: EXPERIMENT, run_name: 'second' } }],
    steps: 2,
  });
  await jobRecord.addMetrics(failing, stepsFrom(1, 1));
  const error = { code: 'worker_lost', message: 'its worker was lost', param: null };
  await jobs.move(failing.id, 'fail', { attempt: failing.attempt, patch: { error }, events: [] });
  const statusOfSecond = async () => {
    await sync();
    return runs().find(({ name }) => name === 'second')!.status;
  };
  assert.equal(await statusOfSecond(), 'FAILED');
  await service.client.fineTuning.jobs.resume(failing.id);
  assert.equal(await statusOfSecond(), 'RUNNING', 'the run of a resumed job runs');

  const answer = await service.inject({ url: `/v1/fine_tuning/jobs/${job.id}/tensorboard` });
  const name = /filename="(.+)"/.exec(String(answer.headers['content-disposition']))![1]!;
  const folder = join(scratch, 'events');
  mkdirSync(folder);
  writeFileSync(join(folder, name), answer.rawPayload);
  const scalars = python<Record<string, [number, number, number][]>>(tensorboardPython, 'read_events.py', folder);
  assert.deepEqual(Object.keys(scalars).sort(), ['full_valid/loss', 'learning_rate', 'seconds', 'tokens', 'train/loss']);
  assert.deepEqual(
    scalars['train/loss'],
    expected.map(({ step, metrics }) => [step, Math.fround(metrics['train_loss']!), began / 1000 + 0.25 * step]),
  );
  console.log(`TensorBoard reads ${scalars['train/loss'].length} steps of ${Object.keys(scalars).length} metrics from ${name}`);
} finally {
  await server.stop();
  await service.close();
  rmSync(scratch, { recursive: true, force: true });
}
await testWandb();
