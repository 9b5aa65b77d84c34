import { expectMatch, expectRefusal, oneOf, orNull } from './matching.ts';
import type { Row } from './setting.ts';

export const JOB = {
  id: /^ftjob-/,
  object: 'fine_tuning.job',
  created_at: Number,
  error: orNull({ code: String, message: String, param: orNull(String) }),
  fine_tuned_model: orNull(String),
  finished_at: orNull(Number),
  hyperparameters: { n_epochs: oneOf('auto', 1, 2), batch_size: (value: unknown) => value === 'auto' || Number.isInteger(value) },
  model: 'graft-tiny',
  organization_id: String,
  result_files: Array.isArray,
  seed: Number,
  trained_tokens: orNull(Number),
  training_file: /^file-/,
  validation_file: orNull(/^file-/),
  estimated_finish: orNull(Number),
  integrations: orNull(Array.isArray),
  metadata: orNull({}),
  method: { type: 'supervised', supervised: { hyperparameters: {} } },
};

/** Pairs of answers, as OpenAI has them. */
const PAIRS = Array.from({ length: 4 }, (_, index) => {
  const answer = (content: string) => [{ role: 'assistant', content }];
  const input = { messages: [{ role: 'user', content: `What is ${index} and ${index}?` }] };
  return `${JSON.stringify({ input, preferred_output: answer(`It is ${2 * index}.`), non_preferred_output: answer('Who knows?') })}\n`;
}).join('');

export const createJobRows: Row[] = [
  [
    'fineTuning.jobs.create',
    'with all that OpenAI has',
    async ({ client, datasetFile }) => {
      const [training_file, validation_file] = [await datasetFile(), await datasetFile()];
      const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 'auto' } as const;
      const job = await client.fineTuning.jobs.create({
        model: 'graft-tiny',
        training_file,
        validation_file,
        suffix: 'full',
        seed: 7,
        metadata: { team: 'blue' },
        method: { type: 'supervised', supervised: { hyperparameters } },
      });
      expectMatch(job, { ...JOB, status: 'validating_files', seed: 7, training_file, validation_file, metadata: { team: 'blue' }, hyperparameters });
      await client.fineTuning.jobs.cancel(job.id);
    },
  ],
  [
    'fineTuning.jobs.create',
    'with DPO, to its end',
    async ({ client, datasetFile, newJob, succeeded }) => {
      const training_file = await datasetFile(PAIRS);
      const hyperparameters = { n_epochs: 1, batch_size: 2, beta: 0.2, learning_rate_multiplier: 'auto' } as const;
      const made = await newJob({ training_file, method: { type: 'dpo', dpo: { hyperparameters } } });
      const method = { type: 'dpo', dpo: { hyperparameters } };
      expectMatch(made, { ...JOB, training_file, method });
      const job = await succeeded(made.id);
      const resolved = { type: 'dpo', dpo: { hyperparameters: { ...hyperparameters, learning_rate_multiplier: Number } } };
      expectMatch(job, { ...JOB, training_file, method: resolved, fine_tuned_model: /^ft:graft-tiny:/ });
      const { data } = await client.fineTuning.jobs.listEvents(job.id, { limit: 100 });
      const steps = data.filter(({ type }) => type === 'metrics').map((event) => event.data);
      expectMatch(steps.length, 2); // four pairs in batches of two
      // Before the first step, the model is its reference: each pair loses ln 2.
      expectMatch(steps.at(-1), {
        step: 1,
        train_loss: (loss: unknown) => Math.abs(Number(loss) - Math.LN2) < 1e-4,
        'train_rewards/margins': Number,
      });
    },
  ],
  [
    'fineTuning.jobs.create',
    'with the deprecated hyperparameters',
    async ({ client, newJob }) => {
      const job = await newJob({ hyperparameters: { n_epochs: 2 } });
      expectMatch(job, { ...JOB, hyperparameters: { n_epochs: 2 } });
      await client.fineTuning.jobs.cancel(job.id);
    },
  ],
  [
    'fineTuning.jobs.create',
    'with a run of Weights & Biases',
    async ({ client, newJob }) => {
      const integrations = [{ type: 'wandb', wandb: { project: 'grafts', name: 'one', tags: ['a'] } }] as const;
      const job = await newJob({ integrations: integrations.map(({ type, wandb }) => ({ type, wandb: { ...wandb, tags: [...wandb.tags] } })) });
      expectMatch(job.integrations?.[0], integrations[0]);
      const { data } = await client.fineTuning.jobs.listEvents(job.id);
      expectMatch(
        data.some(({ level, message }) => level === 'warn' && /wandb|weights/i.test(message)),
        true,
      );
      await client.fineTuning.jobs.cancel(job.id);
    },
  ],
  [
    'fineTuning.jobs.create',
    'from what another job shows',
    async ({ client, newJob }) => {
      const job = await newJob({ suffix: 'again', metadata: { team: 'green' } });
      await client.fineTuning.jobs.cancel(job.id);
      const again = await client.fineTuning.jobs.create({ ...((await client.fineTuning.jobs.retrieve(job.id)) as object), seed: 11 } as never);
      expectMatch(again, { ...JOB, id: (id: unknown) => id !== job.id, seed: 11, metadata: { team: 'green' } });
      await client.fineTuning.jobs.cancel(again.id);
    },
  ],
  [
    'fineTuning.jobs.create',
    'with an unknown model, an unknown file or an unknown field',
    async ({ client, openai, datasetFile }) => {
      const training_file = await datasetFile();
      const create = (body: object) => client.fineTuning.jobs.create({ model: 'graft-tiny', training_file, ...body });
      await expectRefusal(create({ model: 'gpt-4o-mini' }), openai.APIError, { status: oneOf(400, 404), code: 'model_not_found', param: 'model' });
      await expectRefusal(create({ training_file: 'file-none' }), openai.APIError, { status: oneOf(400, 404), param: 'training_file' });
      await expectRefusal(create({ trainingfile: 'x' }), openai.BadRequestError, { param: /trainingfile/ });
    },
  ],
  [
    'fineTuning.jobs.create',
    'with a method that is not there',
    async ({ newJob, openai }) =>
      expectRefusal(newJob({ method: { type: 'reinforcement' } as never }), openai.BadRequestError, { message: /supervised/ }),
  ],
  [
    'fineTuning.jobs.create',
    'with the same Idempotency-Key, and with another body',
    async ({ client, openai, datasetFile }) => {
      const body = { model: 'graft-tiny', training_file: await datasetFile() };
      const options = { headers: { 'Idempotency-Key': `jobs-${process.pid}` }, maxRetries: 0 };
      const { id } = await client.fineTuning.jobs.create(body, options);
      expectMatch((await client.fineTuning.jobs.create(body, options)).id, id);
      await expectRefusal(client.fineTuning.jobs.create({ ...body, seed: 5 }, options), openai.ConflictError, { code: 'idempotency_key_reused' });
      await client.fineTuning.jobs.cancel(id);
    },
  ],
  [
    'fineTuning.jobs.create',
    'from a checkpoint of a tuned model',
    async ({ client, trained, newJob }) => {
      const { data } = await client.fineTuning.jobs.checkpoints.list((await trained()).id);
      const model = data.at(-1)!.fine_tuned_model_checkpoint;
      const job = await newJob({ model });
      expectMatch(job, { ...JOB, model });
      await client.fineTuning.jobs.cancel(job.id);
    },
  ],
];
