/**
 * The training process: paths in, paths out. It has no database, queue, storage or credentials, and talks to its parent through messages.ts.
 * A run blocks the event loop, may use up the memory, and may crash: that is why it is not in the worker's own process.
 */
import { analyse } from '../engine/analysis/analyse.ts';
import { CameLate, Gathering } from '../engine/compiled/together/gathering.ts';
import { PausedAtStep, type TrainReport, type TrainResult } from '../engine/contract.ts';
import { dryRun } from '../engine/dry-run.ts';
import { prepare, type Run } from '../engine/prepare.ts';
import { prove } from '../engine/proof/prove.ts';
import { tf, versions } from '../engine/tensorflow/tensorflow.ts';
import { trainPrepared } from '../engine/train.ts';
import { prepareBeside } from '../engine/train-together.ts';
import { asTrainingError } from './errors.ts';
import type { Answer, Command, Ready, Together } from './messages.ts';
import { endOnlyWithParent } from './parent-death.ts';
import type { ProcessTraces } from './traces.ts';

// A worker that is told to end sends `stop`, so that a checkpoint is written.
endOnlyWithParent();

type TraceCommand = Extract<Command, { command: 'trace' }>;
type TrainCommand = Extract<Command, { command: 'train' }>;
type DryRunCommand = Extract<Command, { command: 'dry_run' }>;
type VerifyCommand = Extract<Command, { command: 'verify' }>;
type AnalyseCommand = Extract<Command, { command: 'analyse' }>;
type LeaveCommand = Extract<Command, { command: 'leave' }>;

/** What `stop` aborts, by command id. A `stop` that comes before `train`, or after it, stops the command that follows. */
const stops = new Map<string, AbortController>();
/** Finished runs by command id. `verify` compares their files and frees the model; `analyse` needs no more than what was chosen. */
const trained = new Map<string, { run: Run; options: TrainCommand['options']; result: TrainResult }>();

/** Commands that are being carried out, by id. */
const working = new Map<string, Promise<void>>();

/** The traces that jobs belong to, by command id; none of a job that is not traced. */
const traces = new Map<string, Promise<{ tracing: ProcessTraces; parent: string }>>();

/** How long a run waits for those beside it: one may have much more data to read. */
const GATHER_MS = 60_000;
/** Where the runs meet that share this process; null before the first has come. */
let gathering: Gathering | null = null;

process.on('message', (command: Command) => {
  if (command.command === 'stop') stopOf(command.id).abort(new Stopped());
  else if (command.command === 'leave') void leave(command);
  else working.set(command.id, answer(command));
});

function stopOf(id: string): AbortController {
  const stop = stops.get(id) ?? new AbortController();
  stops.set(id, stop);
  return stop;
}

async function answer(command: Exclude<Command, { command: 'stop' | 'leave' }>): Promise<void> {
  const { id } = command;
  const { signal } = stopOf(id);
  try {
    if (command.command === 'trace') await trace(command);
    else if (command.command === 'train') await trainJob(command, signal);
    else if (command.command === 'dry_run') await measureJob(command, signal);
    else if (command.command === 'verify') await verify(command, signal);
    else await analyseJob(command, signal);
  } catch (error) {
    if (error instanceof Stopped) {
      await send({ id, answer: 'stopped' });
      return;
    }
    if (error instanceof PausedAtStep) {
      await send({ id, answer: 'paused', step: error.step });
      return;
    }
    if (error instanceof CameLate) {
      await send({ id, answer: 'late' });
      return;
    }
    const failure = asTrainingError(error);
    if (failure.code === 'internal_error') console.error(error);
    await send({ id, answer: 'failed', error: failure });
  } finally {
    if (command.command !== 'trace' && !trained.has(id)) stops.delete(id);
  }
}

const reportOf = (id: string): TrainReport => ({
  preparing: (progress) => send({ id, answer: 'preparing', progress }),
  receipt: (receipt) => send({ id, answer: 'receipt', receipt }),
  prepared: (facts) => send({ id, answer: 'prepared', facts }),
  step: (report) => send({ id, answer: 'step', report }),
  evaluating: evaluatingReport(id),
  answered: (report) => send({ id, answer: 'answered', report }),
  paced: (pace) => send({ id, answer: 'paced', pace }),
  writing: () => send({ id, answer: 'working', at: 'writing' }),
  checkpoint: (checkpoint) => send({ id, answer: 'checkpoint', checkpoint }),
});

async function trace({ id, traceParent, serviceName }: TraceCommand): Promise<void> {
  const opening = import('./traces.ts').then(({ openProcessTraces }) => ({ tracing: openProcessTraces(serviceName), parent: traceParent }));
  traces.set(id, opening);
  await opening;
}

/** Carries out a part of a command, as a span of the job's trace if it has one. */
async function part<T>(id: string, name: string, work: () => Promise<T>): Promise<T> {
  const opened = await traces.get(id);
  if (opened === undefined) return work();
  try {
    return await opened.tracing.within(name, { parent: opened.parent }, work);
  } finally {
    await send({ id, answer: 'spans', spans: opened.tracing.taken() });
  }
}

const gatheringOf = ({ runs }: Together): Gathering => (gathering ??= new Gathering(runs, { longestWaitMs: GATHER_MS, measures: true }));

async function trainJob({ id, options, together }: TrainCommand, signal: AbortSignal): Promise<void> {
  const given = { ...options, signal, report: reportOf(id) };
  const run = await part(id, 'prepare', () =>
    together === null ? prepare(given) : prepareBeside(given, { gathering: gatheringOf(together), number: together.run }),
  );
  try {
    const result = await part(id, 'train', () => trainPrepared(run, given));
    trained.set(id, { run, options, result });
    await send({ id, answer: 'done', result });
  } catch (error) {
    run.dispose();
    throw error;
  }
}

async function leave({ id, together }: LeaveCommand): Promise<void> {
  const work = working.get(id);
  if (work === undefined) gatheringOf(together).leave();
  stopOf(id).abort(new Stopped());
  await work;
  trained.get(id)?.run.dispose();
  for (const map of [trained, stops, working, traces]) map.delete(id);
  await send({ id, answer: 'left' });
}

async function measureJob({ id, options }: DryRunCommand, signal: AbortSignal): Promise<void> {
  const report = reportOf(id);
  const run = await part(id, 'prepare', () => prepare({ ...options, signal, report }));
  try {
    const measured = await part(id, 'dry run', () => dryRun(run, { ...options, signal, report }));
    await send({ id, answer: 'measured', dryRun: measured });
  } finally {
    run.dispose();
  }
}

async function verify({ id, deliveredDir }: VerifyCommand, signal: AbortSignal): Promise<void> {
  const { run, options, result } = finishedRun(id);
  const findings = await part(id, 'verify', () =>
    prove(run, { modelDir: options.modelDir, deliveredDir, last: result.delivered, evaluating: evaluatingReport(id), signal }),
  );
  await send({ id, answer: 'verified', findings });
}

async function analyseJob({ id, deliveredDir, retentionFile }: AnalyseCommand, signal: AbortSignal): Promise<void> {
  const { run, options } = finishedRun(id);
  const { facts, tuning, hyperparameters, today } = run;
  const analysis = await part(id, 'analyse', () =>
    analyse({
      modelDir: options.modelDir,
      deliveredDir,
      tuning,
      ...(retentionFile !== null && { retentionFile }),
      precision: hyperparameters.precision,
      quantization: hyperparameters.quantization,
      parameters: { trained: facts.trainableParameters, total: facts.totalParameters },
      template: { source: options.chatTemplate, kwargs: options.chatTemplateKwargs },
      today,
      seed: options.seed,
      working: evaluatingReport(id),
      signal,
    }),
  );
  await send({ id, answer: 'analysed', analysis });
}

function finishedRun(id: string) {
  const finished = trained.get(id);
  if (finished === undefined) throw new Error(`there is no run ${id} whose files could be read`);
  return finished;
}

/** Batches may take less than a millisecond. */
const EVALUATING_EVERY_MS = 1_000;

function evaluatingReport(id: string): () => Promise<void> {
  let sentMs = performance.now();
  return async () => {
    if (performance.now() - sentMs < EVALUATING_EVERY_MS) return;
    sentMs = performance.now();
    await send({ id, answer: 'working', at: 'evaluating' });
  };
}

/** Resolves when the message has been written, so that a slow reader slows the loop down instead of filling the memory. */
function send(message: Answer | Ready): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

class Stopped extends Error {
  override readonly name = 'Stopped';
}

if (process.send === undefined) {
  console.error('The training process is started by a worker. To train by hand: npm run train -- --help');
  process.exit(2);
}
await tf.ready();
await send({ answer: 'ready', device: tf.getBackend(), tensorflow: versions().tensorflow });
