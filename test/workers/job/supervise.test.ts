import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DEFAULT_PROJECT } from '../../../src/ids.ts';
import { keys } from '../../../src/object-store/keys.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { refusal } from '../../running-service.ts';
import { superviseJobs, WEIGHTS } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterAll(() => jobs?.close());

describe('a supervised job', () => {
  it('calls `trained` once, after its last step and before its proof', async () => {
    const events: string[] = [];
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        for await (const answer of training.train(options)) {
          if (answer.answer === 'step') events.push(`step ${answer.report.step}`);
          yield answer;
        }
      },
      verify(dir) {
        events.push('proof');
        return training.verify(dir);
      },
    }));
    await jobs.supervise(await jobs.makeJob(), { takeProcess, trained: () => void events.push('trained') });
    expect(events).toEqual(['step 1', 'step 2', 'step 3', 'step 4', 'trained', 'proof']);
  });

  it('whose data takes long to read › shows when it will have been read, and the template and variables that it asked for reach its process', async () => {
    const chat = { chat_template: '{{ messages[0].content }}', chat_template_kwargs: { mood: 'calm' } };
    const id = await jobs.makeJob({ method: { type: 'supervised', supervised: { ...chat, hyperparameters: { n_epochs: 2, batch_size: 4 } } } });
    let options: Partial<TrainOptions> = {};
    let finish: number | null = null;
    const takeProcess = jobs.takeProcessWith(() => ({
      async *train(given) {
        options = given;
        await delay(20); // which the first of a million bytes takes
        yield { id, answer: 'preparing', progress: { param: 'training_file', bytesRead: 1, bytesTotal: 1_000_000, lines: 1 } };
        finish = await vi.waitFor(async () => {
          const { estimated_finish: estimated } = (await jobs.get(id)).json();
          expect(estimated).not.toBeNull();
          return estimated;
        }, 10_000);
        yield { id, answer: 'failed', error: { code: 'out_of_memory', message: 'It is too large', param: null, hint: null } };
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(finish).toBeGreaterThan(Date.now() / 1000);
    expect(options).toMatchObject({ chatTemplate: chat.chat_template, chatTemplateKwargs: new Map([['mood', 'calm']]) });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'failed', estimated_finish: null });
  });

  it('whose record the database refuses › fails at once and says so, instead of after its last attempt', async () => {
    const id = await jobs.makeJob();
    const { reports } = jobs.service.services;
    const put = () =>
      jobs.service.services.database.$executeRaw`UPDATE jobs SET error = ${'{"a": "\\u0000"}'}::jsonb` as unknown as ReturnType<typeof reports.put>;
    await jobs.supervise(id, { services: { reports: { ...reports, put } } });
    expect((await jobs.get(id)).json()).toMatchObject({
      status: 'failed',
      error: { code: 'internal_error', message: expect.stringMatching(/refused/) },
    });
  });

  it('whose worker is lost between upload and proof, and again just before success › succeeds in the end, with each file listed once', async () => {
    const id = await jobs.makeJob();
    const broken = jobs.storeWithWeights(() => {
      throw new Error('the store is down');
    });
    await jobs.supervise(id, { services: { objectStore: broken } });
    expect((await jobs.stored(id)).length).toBeGreaterThan(0);
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'queued', result_files: [] });
    for (const path of ['/adapter', '/proof']) expect(refusal(await jobs.get(id, path))).toMatchObject({ status: 404 });

    await jobs.mayResumeNow(id);
    const store = jobs.service.services.jobs;
    const succeed = () => Promise.reject(new Error('the database is down'));
    await jobs.supervise(id, { services: { jobs: { ...store, succeed } } });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'queued', fine_tuned_model: null, result_files: [] });

    await jobs.mayResumeNow(id);
    await jobs.supervise(id);
    const job = (await jobs.get(id)).json();
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    const { data } = await jobs.service.services.files.list(DEFAULT_PROJECT, { purpose: 'fine-tune-results', order: 'asc', limit: 1000 });
    const mine = data.filter(({ storageKey, id: file }) => storageKey.startsWith(keys.job(id)) || job.result_files.includes(file));
    expect(mine.map((file) => file.id).sort()).toEqual([...job.result_files].sort());
    expect(mine.map(({ filename }) => filename).sort()).toEqual([
      'README.md',
      'adapter_config.json',
      WEIGHTS,
      'graft_manifest.json',
      'step_metrics.csv',
    ]);
  });

  it('whose worker is lost before the first checkpoint › keeps the precision that was chosen, whichever is fastest on the next machine', async () => {
    const id = await jobs.makeJob();
    const precisions: unknown[] = [];
    const dying = jobs.takeProcessWith((training) => ({
      async *train(options) {
        precisions.push(options.hyperparameters.precision);
        for await (const answer of training.train(options)) {
          if (answer.answer === 'step' && precisions.length === 1) throw new Error('the worker is lost');
          yield answer;
        }
      },
    }));
    await jobs.supervise(id, { takeProcess: dying });
    const { precision } = (await jobs.service.services.jobs.findAny(id))!.resolved!;
    await jobs.mayResumeNow(id);
    await jobs.supervise(id, { takeProcess: dying });
    expect(precisions).toEqual([undefined, precision]);
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
  });

  it('with save_total_limit › keeps that many checkpoints, nothing of the others, and says which went', async () => {
    const id = await jobs.makeJob({ hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate: 0.01, save_steps: 1, save_total_limit: 2 } });
    await jobs.supervise(id);
    const job = (await jobs.get(id)).json();
    expect(job).toMatchObject({ status: 'succeeded', hyperparameters: { save_total_limit: 2 } });
    expect((await jobs.get(id, '/checkpoints')).json().data.map((one: { step_number: number }) => one.step_number)).toEqual([4, 3]);
    const stored = (await jobs.service.services.objectStore.list(keys.job(id))).flatMap(({ key }) => /checkpoint-(\d)/.exec(key)?.[1] ?? []);
    expect([...new Set(stored)].sort()).toEqual(['3', '4']);
    const messages = (await jobs.get(id, '/events?limit=100')).json().data.map(({ message }: { message: string }) => message);
    expect(messages).toEqual(expect.arrayContaining([1, 2].map((step) => `Removed the checkpoint at step ${step}: save_total_limit is 2`)));
  });

  it('whose worker is lost before the first checkpoint › keeps its tokens here for the next attempt, and none once it has ended', async () => {
    const id = await jobs.makeJob();
    const tokens = () => join(jobs.service.services.config.dataDir, 'tokens', id);
    const made: number[] = [];
    const dying = jobs.takeProcessWith((training) => ({
      async *train(options) {
        for await (const answer of training.train(options)) {
          if (answer.answer === 'prepared') made.push(statSync(join(tokens(), 'training_file')).ino);
          if (answer.answer === 'step' && made.length === 1) throw new Error('the worker is lost');
          yield answer;
        }
      },
    }));
    await jobs.supervise(id, { takeProcess: dying });
    expect(existsSync(tokens())).toBe(true);
    await jobs.mayResumeNow(id);
    await jobs.supervise(id, { takeProcess: dying });
    expect(made[1]).toBe(made[0]);
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(existsSync(tokens())).toBe(false);
  });
});
