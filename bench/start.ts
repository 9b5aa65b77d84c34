/**
 * `npm run bench:start -- [--rounds 3] [--precision auto] [--batch-size 4] [--words 150] [--only TEXT] [--write]`: measures the time from when
 * a worker takes a job to the end of its first step. A warm process was started earlier, as a worker does; a cold one starts with the job, on a
 * machine whose speed has not been measured. Prints medians as a table and one JSON line.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainingEnvironment } from '../src/config.ts';
import type { Precision } from '../src/formats/hyperparameters.ts';
import { PREPARATION_PARTS, type PreparationPart } from '../workers/engine/contract.ts';
import { forkTraining } from '../workers/process/forked.ts';
import type { Answer } from '../workers/process/messages.ts';
import { median } from './measures.ts';
import { table, thisMachine, writeResult } from './results-page.ts';
import { writeConversations, writeSmolLm } from './start-job.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'auto' },
    only: { type: 'string', default: '' },
    'batch-size': { type: 'string', default: '4' },
    words: { type: 'string', default: '150' },
    write: { type: 'boolean', default: false },
  },
});
const STEPS = 3;
const GRAFT_TINY = join(import.meta.dirname, '../models/graft-tiny');

type Part = 'process' | PreparationPart | 'first step';
/** Parts of the time until the first step is reported. `process` is what the preparation does not account for: starting the process, and messages. */
const PARTS: readonly Part[] = ['process', ...PREPARATION_PARTS, 'first step'];

interface Start {
  /** Seconds since the job was taken. */
  preparedAfter: number;
  firstStepAfter: number;
  parts: Record<Part, number>;
  /** Peak memory before the first step, and during the first steps alone. */
  loadingMb: number;
  trainingMb: number;
}

const work = mkdtempSync(join(tmpdir(), 'graft-start-'));
const smolLm = join(work, 'smollm-135m');
const trainingFile = join(work, 'chats.jsonl');
const machineFile = join(work, 'machine.json');

async function start(modelDir: string, warm: boolean): Promise<Start> {
  if (!warm) rmSync(machineFile, { force: true });
  const begin = () => forkTraining({ env: { ...trainingEnvironment(), CUDA_DEVICE_ORDER: 'PCI_BUS_ID' } });
  const spare = warm ? begin() : null;
  await spare?.ready();
  const takenMs = performance.now();
  const after = () => (performance.now() - takenMs) / 1000;
  const training = spare ?? begin();
  const pid = training.pid!;
  try {
    const answers = training.train({
      modelDir,
      trainingFile,
      outputDir: join(work, 'output'),
      tuning: { type: 'lora', r: 16 },
      hyperparameters: { n_epochs: 1, batch_size: Number(options['batch-size']), precision: precisionOf(options.precision) },
      seed: 0,
      machineFile,
    });
    const { seconds } = (await next(answers, 'prepared')).facts;
    const preparedAfter = after();
    const loadingMb = highWaterMarkMb(pid);
    resetHighWaterMark(pid);
    await next(answers, 'step');
    const firstStepAfter = after();
    for (let step = 2; step <= STEPS; step++) await next(answers, 'step');
    const process = PREPARATION_PARTS.reduce((rest, part) => rest - seconds[part], preparedAfter);
    const parts = { process, ...seconds, 'first step': firstStepAfter - preparedAfter };
    return { preparedAfter, firstStepAfter, parts, loadingMb, trainingMb: highWaterMarkMb(pid) };
  } finally {
    await training.kill();
  }
}

/** @returns the next answer of a kind; answers before it are skipped */
async function next<Kind extends Answer['answer']>(answers: AsyncGenerator<Answer>, kind: Kind): Promise<Extract<Answer, { answer: Kind }>> {
  for (;;) {
    const { value, done } = await answers.next();
    if (done === true) throw new Error(`the process ended without an answer "${kind}"`);
    if (value.answer === 'failed') throw new Error(value.error.message);
    if (value.answer === kind) return value as Extract<Answer, { answer: Kind }>;
  }
}

function precisionOf(text: string): Precision | 'auto' {
  if (text !== 'f32' && text !== 'bf16' && text !== 'auto') throw new Error(`--precision is "${text}"; it takes f32, bf16 or auto`);
  return text;
}

const highWaterMarkMb = (pid: number): number => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;

/** Resets it to what the process uses now. */
const resetHighWaterMark = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

async function measure({ name, modelDir, warm }: (typeof cases)[number]) {
  const starts: Start[] = [];
  for (let round = 0; round < Number(options.rounds); round++) starts.push(await start(modelDir, warm));
  const medianOf = (pick: (start: Start) => number): number => median(starts.map(pick));
  return {
    name,
    firstStepAfter: medianOf(({ firstStepAfter }) => firstStepAfter),
    preparedAfter: medianOf(({ preparedAfter }) => preparedAfter),
    parts: Object.fromEntries(PARTS.map((part) => [part, medianOf(({ parts }) => parts[part])])) as Record<Part, number>,
    loadingMb: medianOf(({ loadingMb }) => loadingMb),
    trainingMb: medianOf(({ trainingMb }) => trainingMb),
  };
}

const cases = [
  { model: 'graft-tiny', modelDir: GRAFT_TINY },
  { model: 'SmolLM2-135M', modelDir: smolLm },
]
  .flatMap(({ model, modelDir }) => ['cold', 'warm'].map((how) => ({ name: `${model}, ${how}`, modelDir, warm: how === 'warm' })))
  .filter(({ name }) => name.includes(options.only));

try {
  if (cases.some(({ modelDir }) => modelDir === smolLm)) await writeSmolLm(smolLm, { tokenizerDir: GRAFT_TINY });
  writeConversations(trainingFile, { examples: 64, words: Number(options.words) });
  const results = [];
  for (const one of cases) results.push(await measure(one));
  const head = ['', 'first step done', 'begun', ...PARTS, 'loading', 'training'];
  const rows = results.map(({ name, firstStepAfter, preparedAfter, parts, loadingMb, trainingMb }) => [
    name,
    ...[firstStepAfter, preparedAfter, ...PARTS.map((part) => parts[part])].map((seconds) => `${seconds.toFixed(2)} s`),
    ...[loadingMb, trainingMb].map((mb) => `${mb.toFixed(0)} MB`),
  ]);
  const measured = table(head, rows);
  console.log(measured);
  if (options.write) writeResult('start', `${measured}\n\nMeasured on ${thisMachine()}; medians of ${options.rounds} rounds.`);
  console.log(JSON.stringify({ bench: 'start', rounds: Number(options.rounds), precision: options.precision, results }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
