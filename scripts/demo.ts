/**
 * `npm run demo`: one fine-tuning job from start to finish, on this machine and without any configuration.
 * Starts the service with its embedded servers, uploads a dataset, trains an adapter over HTTP, downloads it, and asks the base model and the
 * fine-tuned one the same questions. It stops everything it started; the adapter and the service's data stay.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answersOf } from './demo/answers.ts';
import { type Api, connect, hasEnded, type Job, type JobEvent } from './demo/api.ts';
import { endOfLog, type Service, startService, stopService, untilReady } from './demo/child.ts';
import { HELD_OUT_PROMPTS, pirateDataset, toJsonLines } from './demo/pirate-dataset.ts';
import { progressBar } from './demo/progress.ts';
import { sideBySide } from './demo/side-by-side.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const BASE_MODEL = 'graft-tiny';
const DATA_DIR = join(root, 'data', 'demo');
const ADAPTER_DIR = join(root, 'adapters', 'demo');
/** The first start initialises the database and loads TensorFlow, which takes a while on slow disks. */
const READY_TIMEOUT_MS = 120_000;
const JOB_TIMEOUT_MS = 600_000;

const JOB = {
  model: BASE_MODEL,
  suffix: 'pirate',
  seed: 7,
  tuning: { type: 'lora', r: 8, lora_alpha: 16 },
  method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3, batch_size: 8, learning_rate: 5e-3, lr_scheduler_type: 'cosine' } } },
} as const;

const say = (text = '') => console.log(text);
const displayed = (path: string) => relative(process.cwd(), path) || '.';
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls the job and its events until it ends, and draws its progress. */
async function watch(api: Api, jobId: string): Promise<Job> {
  const bar = progressBar(process.stdout);
  const seen = new Set<string>();
  const deadline = Date.now() + JOB_TIMEOUT_MS;
  let first: { step: number; at: number } | null = null;
  let validLoss: number | null = null;
  while (Date.now() < deadline) {
    const job = await api.job(jobId);
    const fresh = (await api.events(jobId, 100)).reverse().filter(({ id }) => !seen.has(id));
    let latest: NonNullable<JobEvent['data']> | null = null;
    for (const event of fresh) {
      seen.add(event.id);
      if (event.type !== 'metrics' || event.data === null) continue;
      latest = event.data;
      validLoss = event.data.full_valid_loss ?? event.data.valid_loss ?? validLoss;
    }
    if (latest?.step !== undefined && latest.total_steps !== undefined) {
      first ??= { step: latest.step, at: Date.now() };
      const etaSeconds = etaOf({ job, first, step: latest.step, totalSteps: latest.total_steps });
      bar.show({ step: latest.step, totalSteps: latest.total_steps, trainLoss: latest.train_loss ?? Number.NaN, validLoss, etaSeconds });
    }
    if (hasEnded(job)) {
      bar.end();
      return job;
    }
    await sleep(500);
  }
  throw new Error(`The job did not finish within ${JOB_TIMEOUT_MS / 1000} s`);
}

/** Seconds left: the service's estimate if the job has one, otherwise from the pace so far; null before the second step. */
function etaOf({ job, first, step, totalSteps }: { job: Job; first: { step: number; at: number }; step: number; totalSteps: number }): number | null {
  if (job.estimated_finish !== null) return job.estimated_finish - Date.now() / 1000;
  return step > first.step ? ((Date.now() - first.at) / 1000 / (step - first.step)) * (totalSteps - step) : null;
}

async function train(api: Api): Promise<Job> {
  const dataset = pirateDataset({ seed: 1, training: 200, validation: 40 });
  const training = await api.upload('pirate-training.jsonl', toJsonLines(dataset.training));
  const validation = await api.upload('pirate-validation.jsonl', toJsonLines(dataset.validation));
  say(`  uploaded ${dataset.training.length} training and ${dataset.validation.length} validation conversations in which a pirate answers`);
  const created = await api.createJob({ ...JOB, training_file: training.id, validation_file: validation.id });
  say(`  created job ${created.id}: LoRA on ${BASE_MODEL}`);
  const job = await watch(api, created.id);
  if (job.status !== 'succeeded') throw new Error(`The job ended with status "${job.status}": ${job.error?.message ?? 'no reason was given'}`);
  say(`  trained ${job.fine_tuned_model} on ${job.trained_tokens} tokens`);
  return job;
}

/** Unpacks the adapter's tar into ADAPTER_DIR, replacing the adapter of an earlier demo. */
async function download(api: Api, jobId: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'graft-demo-'));
  try {
    const tar = join(scratch, 'adapter.tar');
    writeFileSync(tar, await api.adapter(jobId));
    rmSync(ADAPTER_DIR, { recursive: true, force: true });
    mkdirSync(ADAPTER_DIR, { recursive: true });
    execFileSync('tar', ['-xf', tar, '-C', ADAPTER_DIR]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function compare(): Promise<void> {
  const modelDir = join(root, 'models', BASE_MODEL);
  const prompts = [...HELD_OUT_PROMPTS];
  const base = await answersOf({ root, modelDir, prompts });
  const tuned = await answersOf({ root, modelDir, adapterDir: ADAPTER_DIR, prompts });
  say(sideBySide(prompts.map((prompt, i) => ({ prompt, base: base[i] ?? '', tuned: tuned[i] ?? '' }))));
}

function nextSteps(): void {
  say(`The adapter is in ${displayed(ADAPTER_DIR)} and loads in PEFT. To try it here:`);
  say(`  npm run generate -- --model models/${BASE_MODEL} --adapter ${displayed(ADAPTER_DIR)} --prompt "Where does a bear live?"`);
  say();
  say('Next steps:');
  say('  npm start                         runs the service on http://127.0.0.1:3000 with its data in ./data');
  say('  DATA_DIR=data/demo npm start      runs it with the data of this demo; then list its jobs with');
  say('  curl -H "Authorization: Bearer $(cat data/demo/api-key)" http://127.0.0.1:3000/v1/fine_tuning/jobs');
  say('  http://127.0.0.1:3000/docs        documents every endpoint and lets you try it');
}

async function demo(started: { service?: Service }): Promise<void> {
  const began = Date.now();
  mkdirSync(DATA_DIR, { recursive: true, mode: 0o700 });
  const logFile = join(DATA_DIR, 'service.log');
  say(`1. Starting the service (data: ${displayed(DATA_DIR)}, log: ${displayed(logFile)})`);
  const service = await startService({ root, dataDir: DATA_DIR, logFile });
  started.service = service;
  await untilReady(service, READY_TIMEOUT_MS);
  say(`  ready at ${service.url} after ${((Date.now() - began) / 1000).toFixed(1)} s`);

  say('2. Training an adapter over HTTP');
  const api = connect(service.url, readFileSync(join(DATA_DIR, 'api-key'), 'utf8').trim());
  // Jobs left by an interrupted demo would run before this one.
  for (const { id } of await api.unfinishedJobs()) await api.cancel(id);
  const job = await train(api);
  say('3. Downloading the adapter');
  await download(api, job.id);
  say(`  ${displayed(ADAPTER_DIR)}/adapter_model.safetensors`);
  await stopService(service);

  say('4. Asking the base model and the fine-tuned one about subjects that the training file never mentions');
  await compare();
  say(`Done in ${Math.round((Date.now() - began) / 1000)} s.`);
  say();
  nextSteps();
}

const started: { service?: Service } = {};
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    interrupted = true;
    console.error(`\nInterrupted (${signal}); stopping the service.`);
    if (started.service) await stopService(started.service);
    process.exit(130);
  });
}
try {
  await demo(started);
} catch (error) {
  // While the service is being stopped, pending requests fail too.
  if (!interrupted) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    if (started.service) console.error(endOfLog(started.service));
    process.exitCode = 1;
  }
} finally {
  if (started.service) await stopService(started.service);
}
