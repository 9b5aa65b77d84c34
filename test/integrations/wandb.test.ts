import { afterAll, beforeAll, expect, it } from 'vitest';
import { syncIntegrations } from '../../src/integrations/sync.ts';
import { type RunningService, runService } from '../running-service.ts';
import { begunJob, stepsFrom } from './shown-job.ts';
import { wandbServer } from './wandb-server.ts';

const KEY = 'b'.repeat(40);
let server: Awaited<ReturnType<typeof wandbServer>>;
let service: RunningService;
beforeAll(async () => {
  server = await wandbServer({ key: KEY, entity: 'acme' });
  service = await runService({ WANDB_API_KEY: KEY, WANDB_BASE_URL: server.url });
});
afterAll(async () => {
  await server?.stop();
  await service?.close();
});

it("a job with OpenAI's integration, where the service has a key › is shown by Weights & Biases, and is told no warning", async () => {
  const job = await begunJob(service, { integrations: [{ type: 'wandb', wandb: { project: 'tuning' } }], steps: 3 });
  const { services } = service;
  await services.jobRecord.addMetrics(job, stepsFrom(1, 2));
  await syncIntegrations(services);
  const run = server.runs.get(`acme/tuning/${job.id}`)!;
  expect(run.history.map(({ _step, train_loss }) => [_step, train_loss])).toEqual([
    [1, 4],
    [2, 2],
  ]);
  const { data: events } = await service.client.fineTuning.jobs.listEvents(job.id);
  expect(events.filter(({ level }) => level === 'warn')).toEqual([]);
  expect(events.map(({ message }) => message)).toContain(`The job is shown by Weights & Biases: ${server.url}/acme/tuning/runs/${job.id}`);
});
