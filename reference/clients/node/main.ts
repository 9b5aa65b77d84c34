/**
 * Runs the rows with one version of OpenAI's client for Node: `node --import tsx main.ts INSTRUCTIONS`, where INSTRUCTIONS are JSON. Prints the outcome of each
 * row, and then the client's version and the names of its methods, as JSON, one a line.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { adminKeyRows } from './admin-key-rows.ts';
import { adminRows } from './admin-rows.ts';
import { chatRows } from './chat-rows.ts';
import { createJobRows } from './create-job-rows.ts';
import { fileRows } from './file-rows.ts';
import { graderRows } from './grader-rows.ts';
import { jobRows } from './job-rows.ts';
import { methodsOf } from './methods.ts';
import { lastModelRows, modelRows } from './model-rows.ts';
import { notServedRows } from './not-served-rows.ts';
import type { Client, Instructions, Job, Package, Row, Setting } from './setting.ts';
import { transportRows } from './transport-rows.ts';
import { uploadRows } from './upload-rows.ts';
import { endpointRows, webhookRows } from './webhook-rows.ts';

/** How long a job may take, on a slow machine beside other clients' jobs. */
const TRAINED_WITHIN_MS = 300_000;
const LOOK_EVERY_MS = 500;
/** A row takes seconds; the first that needs the trained job waits for it. */
const ROW_MS = TRAINED_WITHIN_MS + 20_000;

function settingOf(instructions: Instructions, openai: Package): Setting {
  const { baseURL, faultyURL, key, dataset } = instructions;
  const client = new openai.OpenAI({ baseURL, apiKey: key, adminAPIKey: key });
  const datasetFile = async (content = dataset) => {
    const { id } = await client.files.create({ file: new File([content], 'train.jsonl'), purpose: 'fine-tune' });
    await client.files.waitForProcessing(id, { pollInterval: 200 });
    return id;
  };
  let training: Promise<Job> | undefined;
  const setting: Setting = {
    ...instructions,
    openai,
    client,
    datasetFile,
    through: (fault, name, options) =>
      new openai.OpenAI({ apiKey: key, adminAPIKey: key, baseURL: `${faultyURL}/${fault}/node-${process.pid}-${name}/v1`, ...options }),
    newJob: async (more) => client.fineTuning.jobs.create({ model: 'graft-tiny', training_file: await datasetFile(), ...more }),
    succeeded: (id) => succeeded(client, id),
    trained() {
      training ??= train(setting);
      return training;
    },
  };
  return setting;
}

async function train({ client, newJob }: Setting): Promise<Job> {
  const method = { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 4 } } } as const;
  const { id } = await newJob({ suffix: 'conformance', seed: 3, method });
  return succeeded(client, id);
}

async function succeeded(client: Client, id: string): Promise<Job> {
  for (const deadline = Date.now() + TRAINED_WITHIN_MS; Date.now() < deadline; await delay(LOOK_EVERY_MS)) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (job.status === 'succeeded') return job;
    if (['failed', 'cancelled'].includes(job.status)) throw new Error(`the job ${job.status}: ${job.error?.message}`);
  }
  throw new Error(`the job has not ended after ${TRAINED_WITHIN_MS / 1000} s`);
}

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function run([method, circumstance, call]: Row, setting: Setting): Promise<void> {
  const started = performance.now();
  const late = delay(ROW_MS, undefined, { ref: false }).then(() => {
    throw new Error(`not done after ${ROW_MS / 1000} s`);
  });
  const problem = await Promise.race([call(setting), late]).then(
    () => null,
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
  );
  say({ method, circumstance, problem, ms: Math.round(performance.now() - started) });
}

const instructions = JSON.parse(process.argv[2]!) as Instructions;
const openai = (await import(pathToFileURL(join(instructions.package, 'index.mjs')).href)) as Package;
const setting = settingOf(instructions, openai);
const methods = methodsOf(setting.client);
const has = (name: string) => methods.some((method) => method.name === name);

setting.trained().catch(() => {}); // it trains while other rows run; those that need it say what went wrong
const withoutJob = [...fileRows, ...uploadRows, ...graderRows, ...transportRows, ...webhookRows, ...(has('webhooks.create') ? endpointRows : [])];
for (const row of [
  ...withoutJob,
  ...notServedRows(methods),
  ...adminRows,
  ...adminKeyRows,
  ...createJobRows,
  ...jobRows,
  ...modelRows,
  ...chatRows,
  ...lastModelRows,
]) {
  if (row[0].includes('.') && !row[0].includes('*') && !has(row[0])) continue; // an older client does not have it
  await run(row, setting);
}
const { version } = JSON.parse(readFileSync(join(instructions.package, 'package.json'), 'utf8'));
say({ version, methods: methods.map(({ name }) => name) });
