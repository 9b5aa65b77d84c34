import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TINY_MODEL = join(root, 'test/fixtures/reference/cases/llama-gqa-tied/model');

/** On slow machines, initialising a database, loading TensorFlow and training take most of it. */
const TIMEOUT_MS = 60_000;

/** The key of every service that a journey starts. */
export const JOURNEY_KEY = 'the-key-of-a-journey';

type LogLine = Record<string, unknown> & { msg: string };

/** A program of the service, run as users run it. */
export interface Program {
  child: ChildProcess;
  /** Everything that it has logged. */
  log: LogLine[];
  /** @returns its exit code or signal */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** Waits until `check` returns something truthy. @throws Error naming what did not come in time */
export async function until<T>(what: string, check: () => Promise<T | null | undefined | false> | T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (Date.now() < deadline) {
    const found = await check();
    if (found) return found;
    await delay(100);
  }
  throw new Error(`${what} did not come within ${TIMEOUT_MS / 1000} s`);
}

/** Creates a DATA_DIR and a MODELS_DIR for one test, with the tiny random model `tiny`. */
export async function makeHome(): Promise<{ dataDir: string; modelsDir: string; addModel(name: string): Promise<string>; remove(): Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), 'graft-journey-'));
  const modelsDir = join(home, 'models');
  await mkdir(modelsDir);
  const addModel = async (name: string) => {
    await cp(TINY_MODEL, join(modelsDir, name), { recursive: true });
    return join(modelsDir, name);
  };
  await addModel('tiny');
  return { dataDir: join(home, 'data'), modelsDir, addModel, remove: () => rm(home, { recursive: true, force: true }) };
}

function start(program: string, { dataDir, modelsDir }: { dataDir: string; modelsDir: string }, env: Record<string, string>): Program {
  const child = spawn(process.execPath, ['scripts/run.mjs', program], {
    cwd: root,
    env: { ...process.env, DATA_DIR: dataDir, MODELS_DIR: modelsDir, ROOT_API_KEY: JOURNEY_KEY, LOG_LEVEL: 'info', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const log: LogLine[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => log.push(asLogLine(line)));
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.signalCode ?? child.exitCode!;
  };
  return { child, log, stop };
}

function asLogLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
}

type Home = Parameters<typeof start>[1];

export const startWorker = (home: Home): Program => start('workers/main.ts', home, {});

/** @param options.workers how many workers the service runs itself */
export async function startService(
  home: Home,
  { workers }: { workers: number },
  env: Record<string, string> = {},
): Promise<Program & { url: string }> {
  const service = start('src/server.ts', home, { ...env, WORKERS: String(workers) });
  const address = await until('the address', () => {
    if (service.child.exitCode !== null) throw new Error(`The service ended:\n${service.log.map(({ msg }) => msg).join('\n')}`);
    return service.log.find((line) => line['address'])?.['address'] as string | undefined;
  });
  return { ...service, url: address };
}
