import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import { sweepExpired } from '../../../src/housekeeping/retention.ts';
import { DEFAULT_PROJECT } from '../../../src/ids.ts';
import { keys } from '../../../src/object-store/keys.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { refusal } from '../../running-service.ts';
import { superviseJobs, WEIGHTS } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
beforeAll(async () => {
  jobs = await superviseJobs();
});
afterAll(() => jobs?.close());

const retrieve = async (id: string) => (await jobs.get(id)).json();
const events = async (id: string) => (await jobs.get(id, '/events?limit=100')).json().data as { type: string; message: string }[];

describe('a dry run', () => {
  it('measures two steps, and leaves a report but no model, file, checkpoint or metric', async () => {
    const real = await jobs.makeJob();
    await jobs.supervise(real);
    const id = await jobs.makeJob({ dry_run: true });
    expect(await retrieve(id)).toMatchObject({ dry_run: true, status: 'validating_files' });
    expect(refusal(await jobs.get(id, '/dry_run'))).toMatchObject({ status: 404, code: 'report_not_found' });
    await jobs.supervise(id);

    const job = await retrieve(id);
    expect(job).toMatchObject({ status: 'succeeded', fine_tuned_model: null, result_files: [], trained_tokens: null, error: null });
    expect(job.expires_at - job.finished_at).toBe(24 * 3600);
    const report = (await jobs.get(id, '/dry_run')).json();
    const { receipt, batch, memory, seconds } = report;
    expect(receipt.training).toEqual((await jobs.get(real, '/receipt')).json().training);
    expect(report.hyperparameters).toMatchObject({ n_epochs: 2, batch_size: 4, precision: expect.stringMatching(/f32|bf16/) });
    expect(report).toMatchObject({ total_steps: 4, total_tokens: 2 * receipt.training.tokens, tuning: { type: 'lora', r: 4 } });
    expect(batch).toMatchObject({ examples: 4, longest_tokens: receipt.training.longest.tokens });
    expect(report.delivered_bytes).toBe((await jobs.weights(real)).length);
    expect(report.checkpoint_bytes).toBeGreaterThan(3 * report.delivered_bytes);
    expect(report.tokens_per_second).toBeCloseTo(batch.tokens / seconds.step);
    expect(seconds.total).toBeCloseTo(seconds.preparation + seconds.training + seconds.evaluation + seconds.checkpoints);
    expect(memory.estimate_error).toBeCloseTo(memory.estimate.total_bytes / memory.peak_bytes - 1);
    expect(report.workers).toEqual([{ id: 'worker-test', device: 'CPU', memory_bytes: null, has_model: true, fits: null }]);

    expect((await events(id)).filter(({ type }) => type === 'metrics')).toEqual([]);
    expect((await events(id))[0]!.message).toMatch(/^The dry run is done: the job would need .* GB of memory/);
    expect((await jobs.get(id, '/checkpoints')).json().data).toEqual([]);
    expect(refusal(await jobs.get(id, `/adapter/${WEIGHTS}`))).toMatchObject({ status: 404, message: expect.stringContaining('It is a dry run') });
    expect(await jobs.service.services.objectStore.list(keys.job(id))).toEqual([]);
    const models = (await jobs.service.inject({ url: '/v1/models' })).json().data as { job_id?: string }[];
    expect(models.map((model) => model.job_id)).not.toContain(id);
  });

  it('with learning_rate_finder › suggests a rate from up to 100 further steps; a job that trains refuses it', async () => {
    const hyperparameters = { n_epochs: 1, batch_size: 4, learning_rate_finder: true, precision: 'f32' };
    const id = await jobs.makeJob({ dry_run: true, hyperparameters });
    await jobs.supervise(id);
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded', fine_tuned_model: null });
    const { learning_rates: found } = (await jobs.get(id, '/dry_run')).json();
    const { steps, suggested, ended_because } = found;
    expect(steps.length).toBeLessThanOrEqual(100);
    expect(steps.length).toBeGreaterThan(60);
    expect(steps[0].learning_rate).toBe(1e-7);
    expect(['all_steps', 'diverged']).toContain(ended_because);
    // At the smallest rates nothing is learned; at the suggested one the loss falls.
    const at = (rate: number) => steps.findIndex(({ learning_rate }: { learning_rate: number }) => learning_rate >= rate);
    expect(suggested).toBeGreaterThan(1e-5);
    expect(suggested).toBeLessThan(1);
    const lowest = Math.min(...steps.map(({ smoothed_loss }: { smoothed_loss: number }) => smoothed_loss));
    expect(steps[at(suggested)].smoothed_loss).toBeGreaterThan(lowest);
    expect(lowest).toBeLessThan(steps[0].smoothed_loss - 0.1);
    const training_file = await jobs.service.upload(sameAnswer(4));
    expect(refusal(await jobs.service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, hyperparameters }))).toMatchObject({
      status: 400,
      param: 'hyperparameters.learning_rate_finder',
    });
  });

  it('tells no webhook endpoint, as other jobs do', async () => {
    const { database } = jobs.service.services;
    const endpoint = { owner: DEFAULT_PROJECT, name: 'all', url: 'https://hooks.invalid', secret: 'secret', secretHint: 'hint' };
    await database.webhookEndpoint.create({ data: { id: 'endpoint', ...endpoint, eventTypes: ['fine_tuning.job.cancelled'] } });
    for (const dry_run of [true, false]) {
      const id = await jobs.makeJob({ dry_run });
      await jobs.service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
      expect(await database.webhookDelivery.count({ where: { subjectId: id } })).toBe(dry_run ? 0 : 1);
    }
    await database.webhookEndpoint.delete({ where: { id: 'endpoint' } });
  });

  it('of LoRA and of full fine-tuning › is what the estimate said without a worker, to the byte on disk and nearly in memory', async () => {
    const { models } = jobs.service.services;
    const config = readFileSync(join(referencePath('cases', 'llama-gqa-tied', 'model'), 'config.json'), 'utf8');
    const facts = { family: 'llama', parameters: 1, sizeBytes: 1, revision: null };
    await models.announce({ id: 'worker-describing', hostname: 'here', device: 'CPU' }, [{ id: 'graft-tiny', ...facts, config }]);
    for (const type of ['lora', 'full']) {
      const choices = { tuning: { type }, hyperparameters: { precision: 'f32', max_length: 64 } };
      const id = await jobs.makeJob({ ...choices, dry_run: true });
      await jobs.supervise(id);
      const measured = (await jobs.get(id, '/dry_run')).json();
      const { memory, ...estimated } = (await jobs.service.post('/v1/fine_tuning/estimate', { model: 'graft-tiny', ...choices })).json();
      for (const exact of ['trained_parameters', 'total_parameters', 'delivered_bytes']) expect(estimated[exact], exact).toBe(measured[exact]);
      // Of so small a model nearly all is Node.js and TensorFlow, which take more with more threads. `bench:estimate` compares larger ones.
      expect(Math.abs(memory.total_bytes / measured.memory.peak_bytes - 1)).toBeLessThan(0.25);
    }
    await models.removeWorker('worker-describing');
  });

  it('is listed beside other jobs, and apart from them where that is asked for', async () => {
    const [dry, other] = [await jobs.makeJob({ dry_run: true }), await jobs.makeJob()];
    const ids = async (query: string) =>
      (await jobs.service.inject({ url: `/v1/fine_tuning/jobs?limit=100${query}` })).json().data.map((job: { id: string }) => job.id) as string[];
    expect(await ids('')).toEqual(expect.arrayContaining([dry, other]));
    expect(await ids('&dry_run=true')).toContain(dry);
    expect(await ids('&dry_run=true')).not.toContain(other);
    expect(await ids('&dry_run=false')).toContain(other);
    expect(await ids('&dry_run=false')).not.toContain(dry);
  });

  it('of data that cannot be trained on › fails with the words of a real job', async () => {
    const errors = [];
    for (const dry_run of [true, false]) {
      const id = await jobs.makeJob({ hyperparameters: { max_length: 8 }, dry_run });
      await jobs.supervise(id);
      const { status, error } = await retrieve(id);
      expect(status).toBe('failed');
      errors.push(error);
    }
    expect(errors[0]).toMatchObject({ code: 'invalid_training_file', message: expect.stringContaining('the limit is 8') });
    expect(errors[0]).toEqual(errors[1]);
  });

  it('whose training process is killed › is measured by the next one', async () => {
    const id = await jobs.makeJob({ dry_run: true });
    let taken = 0;
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *dryRun(options) {
        taken += 1;
        for await (const answer of training.dryRun(options)) {
          yield answer;
          if (taken === 1 && answer.answer === 'prepared') await training.kill();
        }
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(taken).toBe(2);
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded' });
    expect((await jobs.get(id, '/dry_run')).statusCode).toBe(200);
  });

  it('that is cancelled while it is measured › ends, without a report', async () => {
    const id = await jobs.makeJob({ dry_run: true });
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *dryRun(options) {
        for await (const answer of training.dryRun(options)) {
          if (answer.answer === 'prepared') await jobs.service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
          yield answer;
        }
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(await retrieve(id)).toMatchObject({ status: 'cancelled', expires_at: expect.any(Number) });
    expect(refusal(await jobs.get(id, '/dry_run'))).toMatchObject({ status: 404, code: 'report_not_found' });
  });

  it('whose worker stops › is measured by the next worker', async () => {
    const id = await jobs.makeJob({ dry_run: true });
    const stopping = new AbortController();
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *dryRun(options) {
        for await (const answer of training.dryRun(options)) {
          if (answer.answer === 'prepared') stopping.abort();
          yield answer;
        }
      },
    }));
    await jobs.supervise(id, { takeProcess, stopping: stopping.signal });
    expect(await retrieve(id)).toMatchObject({ status: 'queued' });
    await jobs.supervise(id);
    expect(await retrieve(id)).toMatchObject({ status: 'succeeded' });
  });

  it('goes by itself with its report, whatever is kept of other jobs', async () => {
    const { services } = jobs.service;
    const [kept, expired] = [await jobs.makeJob({ dry_run: true }), await jobs.makeJob({ dry_run: true })];
    for (const id of [kept, expired]) await jobs.service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
    const { expires_at } = await retrieve(kept);
    await services.database.job.update({ where: { id: expired }, data: { expiresAt: new Date(Date.now() - 1000) } });
    await sweepExpired({ ...services, config: { ...services.config, retention: { filesDays: null, checkpointsDays: null, jobsDays: null } } });
    expect((await jobs.get(expired)).statusCode).toBe(404);
    await sweepExpired({ ...services, config: { ...services.config, retention: { filesDays: null, checkpointsDays: null, jobsDays: 30 } } });
    expect(await retrieve(kept)).toMatchObject({ expires_at });
  });
});
