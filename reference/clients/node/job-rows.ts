import { JOB } from './create-job-rows.ts';
import { expectMatch, expectRefusal, oneOf } from './matching.ts';
import type { Row } from './setting.ts';

const EVENT = {
  id: /^ftevent-/,
  object: 'fine_tuning.job.event',
  created_at: Number,
  level: oneOf('info', 'warn', 'error'),
  message: String,
  type: oneOf('message', 'metrics'),
};

export const jobRows: Row[] = [
  [
    'fineTuning.jobs.retrieve',
    'of one that has succeeded',
    async ({ trained }) =>
      expectMatch(await trained(), {
        ...JOB,
        status: 'succeeded',
        error: null,
        fine_tuned_model: /^ft:graft-tiny:[^:]+:conformance:/,
        finished_at: Number,
        trained_tokens: (tokens: unknown) => Number(tokens) > 0,
        hyperparameters: { n_epochs: Number, batch_size: Number, learning_rate_multiplier: Number },
        result_files: (files: unknown) => Array.isArray(files) && files.length > 0 && files.every((id) => /^file-/.test(id)),
      }),
  ],
  [
    'fineTuning.jobs.retrieve',
    'of an unknown one',
    async ({ client, openai }) =>
      expectRefusal(client.fineTuning.jobs.retrieve('ftjob-none'), openai.NotFoundError, {
        code: 'fine_tune_not_found',
        type: 'invalid_request_error',
      }),
  ],
  [
    'fineTuning.jobs.list',
    'in pages of one',
    async ({ client, newJob }) => {
      const made = [await newJob(), await newJob()].map(({ id }) => id);
      const seen: string[] = [];
      for await (const { id } of client.fineTuning.jobs.list({ limit: 1 })) {
        if (made.includes(id)) seen.push(id);
        if (seen.length === made.length) break;
      }
      expectMatch(seen, made.toReversed());
      for (const id of made) await client.fineTuning.jobs.cancel(id);
    },
  ],
  [
    'fineTuning.jobs.list',
    'of those with some metadata, and of those without',
    async ({ client, newJob }) => {
      const batch = `batch-${process.pid}`;
      const [marked, plain] = [await newJob({ metadata: { batch } }), await newJob()];
      const ids = async (metadata: Record<string, string> | null) =>
        (await client.fineTuning.jobs.list({ metadata, limit: 100 })).data.map(({ id }) => id);
      expectMatch(await ids({ batch }), [marked.id]);
      const without = await ids(null);
      expectMatch([without.includes(plain.id), without.includes(marked.id)], [true, false]);
      for (const { id } of [marked, plain]) await client.fineTuning.jobs.cancel(id);
    },
  ],
  [
    'fineTuning.jobs.pause',
    'of a new job',
    async ({ client, newJob }) => {
      const { id } = await newJob();
      expectMatch(await client.fineTuning.jobs.pause(id), { ...JOB, id, status: 'paused' });
      await client.fineTuning.jobs.cancel(id);
    },
  ],
  [
    'fineTuning.jobs.resume',
    'of a paused job',
    async ({ client, newJob }) => {
      const { id } = await newJob();
      await client.fineTuning.jobs.pause(id);
      expectMatch(await client.fineTuning.jobs.resume(id), { ...JOB, id, status: oneOf('validating_files', 'queued', 'running') });
      await client.fineTuning.jobs.cancel(id);
    },
  ],
  [
    'fineTuning.jobs.cancel',
    'of a new job, and again',
    async ({ client, newJob, openai }) => {
      const { id } = await newJob();
      expectMatch(await client.fineTuning.jobs.cancel(id), { ...JOB, id, status: 'cancelled', finished_at: Number });
      await expectRefusal(client.fineTuning.jobs.cancel(id), openai.BadRequestError, { type: 'invalid_request_error' });
    },
  ],
  [
    'fineTuning.jobs.listEvents',
    'of one that has succeeded, in pages of two',
    async ({ client, trained }) => {
      const events = [];
      for await (const event of client.fineTuning.jobs.listEvents((await trained()).id, { limit: 2 })) events.push(event);
      for (const event of events) expectMatch(event, EVENT);
      expectMatch(new Set(events.map(({ id }) => id)).size, events.length);
      const metrics = events.find(({ type }) => type === 'metrics');
      expectMatch(metrics?.data, { step: Number, total_steps: Number, train_loss: Number, train_mean_token_accuracy: Number });
    },
  ],
  [
    'fineTuning.jobs.checkpoints.list',
    'of one that has succeeded, in pages of one',
    async ({ client, trained }) => {
      const job = await trained();
      const checkpoints = [];
      for await (const checkpoint of client.fineTuning.jobs.checkpoints.list(job.id, { limit: 1 })) checkpoints.push(checkpoint);
      for (const checkpoint of checkpoints)
        expectMatch(checkpoint, {
          id: /^ftckpt_/,
          object: 'fine_tuning.job.checkpoint',
          created_at: Number,
          fine_tuning_job_id: job.id,
          fine_tuned_model_checkpoint: /^ft:graft-tiny:/,
          step_number: Number,
          metrics: { step: Number, train_loss: Number },
        });
      expectMatch(checkpoints.length > 1, true);
    },
  ],
  [
    'files.content',
    'of a result file',
    async ({ client, trained }) => {
      const files = await Promise.all((await trained()).result_files.map((id) => client.files.retrieve(id)));
      const metrics = files.find(({ filename }) => filename === 'step_metrics.csv');
      expectMatch(metrics, { purpose: 'fine-tune-results', status: 'processed' });
      const text = await (await client.files.content(metrics!.id)).text();
      expectMatch(text, /^step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy/);
    },
  ],
];
