/**
 * `npm run bench:sizes -- [--models qwen2.5-0.5b,llama-3.2-1b,…] [--steps 4] [--write]`: whole jobs over HTTP in the shapes of published models, with random weights in
 * bf16: a LoRA adapter is trained, evaluated and proven, exported, and the tuned model answers. Needs as much disk as the weights take. Prints a table and one
 * JSON line; --write puts the table into docs/results.md.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect, hasEnded } from '../scripts/demo/api.ts';
import { endOfLog, type Service, startService, stopService, untilReady } from '../scripts/demo/child.ts';
import { median } from './measures.ts';
import type { PublishedShape } from './published-shapes.ts';
import { isWriting, publishResult, table, thisMachine, updatedTable } from './results-page.ts';
import { shapeOf } from './smollm-shapes.ts';
import { writeConversations, writeSmolLm } from './start-job.ts';

const root = join(import.meta.dirname, '..');
const READY_MS = 120_000;
const POLL_MS = 500;
const ANSWER_TOKENS = 16;
/** Whose tokenizer the models get. */
const TOKENIZER_DIR = join(root, 'models', 'graft-tiny');

interface Size {
  precision: 'f32' | 'bf16';
  quantization?: 'nf4';
  gradientCheckpointing?: true;
  /** Of the export. A merged model is as large as its base. */
  format: 'hugging_face' | 'gguf_adapter';
}

/** In the order of the table. */
const SIZES = {
  'qwen2.5-0.5b': { precision: 'f32', format: 'hugging_face' },
  'llama-3.2-1b': { precision: 'f32', format: 'hugging_face' },
  'gemma-3-1b': { precision: 'f32', format: 'hugging_face' },
  'qwen3-1.7b': { precision: 'bf16', format: 'hugging_face' },
  'qwen3-8b': { precision: 'bf16', quantization: 'nf4', gradientCheckpointing: true, format: 'gguf_adapter' },
} satisfies Partial<Record<PublishedShape, Size>>;
type Model = keyof typeof SIZES;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: Object.keys(SIZES).slice(0, -1).join(',') },
    steps: { type: 'string', default: '4' },
    write: { type: 'boolean', default: false },
  },
});
const steps = Number(options.steps);
if (!(steps >= 2)) throw new Error(`--steps is "${options.steps}"; it takes 2 or more`);
const models = options.models.split(',').map((name) => {
  if (!Object.hasOwn(SIZES, name)) throw new Error(`--models has "${name}"; it takes ${Object.keys(SIZES).join(', ')}`);
  return name as Model;
});

interface Measured {
  model: Model;
  held: string;
  weightsBytes: number;
  /** From the start of the job to its first step, whose own time is in it. */
  loadingSeconds: number;
  stepSeconds: number;
  jobSeconds: number;
  peakBytes: number;
  exportSeconds: number;
  answersPerSecond: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const secondsSince = (ms: number): number => (performance.now() - ms) / 1000;

async function call<T>(url: string, key: string, path: string, body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1${path}`, { headers, ...(body && { method: 'POST', body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${path} failed with status ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

async function measure(model: Model, work: string): Promise<Measured> {
  const { precision, quantization, gradientCheckpointing, format }: Size = SIZES[model];
  const modelsDir = join(work, 'models');
  const dataDir = join(work, 'data');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  await writeSmolLm(join(modelsDir, model), { tokenizerDir: TOKENIZER_DIR, shape: shapeOf(model) });
  const weightsBytes = statSync(join(modelsDir, model, 'model.safetensors')).size;
  const conversations = (name: string, examples: number): string => {
    const path = join(work, name);
    writeConversations(path, { examples, words: 150 }); // about 256 tokens
    return readFileSync(path, 'utf8');
  };
  const settings = { MODELS_DIR: modelsDir, ALLOW_MODEL_DOWNLOAD: 'false' };
  const service = await startService({ root, dataDir, logFile: join(work, 'service.log'), settings });
  try {
    await untilReady(service, READY_MS);
    return await measureJob(service);
  } catch (error) {
    console.error(endOfLog(service));
    throw error;
  } finally {
    await stopService(service);
  }

  async function measureJob({ url }: Service): Promise<Measured> {
    const key = readFileSync(join(dataDir, 'api-key'), 'utf8').trim();
    const api = connect(url, key);
    const training = await api.upload('training.jsonl', conversations('training.jsonl', steps));
    const validation = await api.upload('validation.jsonl', conversations('validation.jsonl', 2));
    const hyperparameters = {
      ...{ batch_size: 1, max_steps: steps, precision },
      ...(quantization && { quantization }),
      ...(gradientCheckpointing && { gradient_checkpointing: true }),
    };
    const created = await api.createJob({
      model,
      training_file: training.id,
      validation_file: validation.id,
      tuning: { type: 'lora', r: 16 },
      method: { type: 'supervised', supervised: { hyperparameters } },
    });
    let [job, begunMs, firstMs] = [created, Number.NaN, Number.NaN];
    while (!hasEnded(job)) {
      await sleep(POLL_MS);
      job = await api.job(created.id);
      if (job.status === 'running' && Number.isNaN(begunMs)) begunMs = performance.now();
      if (Number.isNaN(firstMs) && (await api.events(created.id, 100)).some(({ type }) => type === 'metrics')) firstMs = performance.now();
    }
    if (job.status !== 'succeeded' || job.fine_tuned_model === null)
      throw new Error(`${model}: the job ended as ${job.status}: ${job.error?.message}`);
    const jobSeconds = secondsSince(begunMs);
    const { data } = await call<{ data: { metrics: Record<string, number> }[] }>(url, key, `/fine_tuning/jobs/${job.id}/metrics`);
    const numbers = (name: string): number[] => data.map(({ metrics }) => metrics[name] ?? Number.NaN);
    const held = [precision, ...(quantization ? [quantization] : [])].join(', ');
    const { exportSeconds, answersPerSecond } = await use(job.fine_tuned_model, { url, key });
    return {
      ...{ model, held, weightsBytes, jobSeconds, exportSeconds, answersPerSecond },
      loadingSeconds: (firstMs - begunMs) / 1000,
      stepSeconds: median(numbers('seconds').slice(1)),
      peakBytes: Math.max(...numbers('peak_memory_bytes')),
    };
  }

  async function use(tuned: string, { url, key }: { url: string; key: string }): Promise<Pick<Measured, 'exportSeconds' | 'answersPerSecond'>> {
    const askedMs = performance.now();
    let made = await call<{ id: string; status: string; error?: { message: string } | null }>(url, key, '/exports', { model: tuned, format });
    while (!['succeeded', 'failed', 'cancelled'].includes(made.status)) {
      await sleep(POLL_MS);
      made = await call(url, key, `/exports/${made.id}`);
    }
    if (made.status !== 'succeeded') throw new Error(`${model}: the export ended as ${made.status}: ${made.error?.message}`);
    const exportSeconds = secondsSince(askedMs);
    const answer = (tokens: number): Promise<unknown> =>
      call(url, key, '/completions', { model: tuned, prompt: 'the cat sat on', max_tokens: tokens, temperature: 0 });
    try {
      await answer(1); // opens the model
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('model_too_large'))) throw error;
      return { exportSeconds, answersPerSecond: Number.NaN };
    }
    const first = performance.now();
    await answer(1);
    const firstSeconds = secondsSince(first);
    const startedMs = performance.now();
    await answer(1 + ANSWER_TOKENS);
    return { exportSeconds, answersPerSecond: ANSWER_TOKENS / (secondsSince(startedMs) - firstSeconds) };
  }
}

const HEAD = ['model', 'weights', 'computed in', 'until the first step', 'a step', 'peak memory', 'whole job', 'export', 'answers, tokens/s'];
const results: Measured[] = [];
for (const model of models) {
  const work = mkdtempSync(join(tmpdir(), 'graft-sizes-'));
  try {
    const result = await measure(model, work);
    console.error(JSON.stringify(result));
    results.push(result);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;
const seconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} s`;
const rows = results.map((result) => [
  result.model,
  gigabytes(result.weightsBytes),
  result.held,
  seconds(result.loadingSeconds),
  seconds(result.stepSeconds),
  gigabytes(result.peakBytes),
  seconds(result.jobSeconds),
  `${SIZES[result.model].format}, ${seconds(result.exportSeconds)}`,
  Number.isNaN(result.answersPerSecond) ? 'too large' : result.answersPerSecond.toFixed(1),
]);
const written = isWriting ? updatedTable('sizes', { head: HEAD, rows, order: Object.keys(SIZES) }) : table(HEAD, rows);
publishResult('sizes', `${written}\n\nMeasured on ${thisMachine()}.`);
console.log(JSON.stringify({ bench: 'sizes', machine: thisMachine(), results }));
