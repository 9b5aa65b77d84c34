/** `npm start` as a process of its own, on a home of its own: started, killed and started again by the rows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../scripts/demo/free-port.ts';
import type { Home } from './home.ts';
import { type FoundProcess, processesOf, type Role, signal, untilGone } from './processes.ts';

const ROOT = join(import.meta.dirname, '../..');
/** At least as long as the service asks for. */
export const API_KEY = 'graft-faults-0123456789abcdef0123456789abcdef';
/** Making a database and loading TensorFlow on a slow machine. */
const START_TIMEOUT_MS = 90_000;
/** More than the total deadline of a SIGTERM. */
const STOP_TIMEOUT_MS = 90_000;
/** How many log lines are kept to explain a failed try. */
const LOG_LINES_KEPT = 5_000;

export interface LogLine extends Record<string, unknown> {
  msg: string;
}

export interface Service {
  url: string;
  home: Home;
  log: LogLine[];
  start(): Promise<void>;
  /** Sends the API process SIGTERM. @returns seconds until everything had ended @throws Error naming what is left after `STOP_TIMEOUT_MS` */
  stop(): Promise<number>;
  /** Ends everything at once, whatever it does. */
  killAll(): Promise<void>;
  isUp(): boolean;
  /** Resolves when the API process has ended. */
  ended(): Promise<void>;
  processes(...roles: Role[]): FoundProcess[];
  /** The training process that took this job last; null if none has, or it has ended. @throws Error for one that is not found as what it is */
  trainingProcess(jobId: string): FoundProcess | null;
}

interface ServiceOptions {
  home: Home;
  workers: number;
  env?: Record<string, string>;
}

export async function openService({ home, workers, env = {} }: ServiceOptions): Promise<Service> {
  const port = await freePort(); // kept over restarts
  const log: LogLine[] = [];
  let api: ChildProcess | null = null;
  const processes = (...roles: Role[]) => processesOf(home).filter(({ role }) => roles.length === 0 || roles.includes(role));
  const isUp = () => api !== null && api.exitCode === null && api.signalCode === null;

  async function killAll(): Promise<void> {
    while (processes().length > 0) {
      for (const { pid } of processes()) signal(pid, 'SIGKILL');
      await delay(50);
    }
  }

  return {
    url: `http://127.0.0.1:${port}/v1`,
    home,
    log,
    processes,
    killAll,
    isUp,
    async start() {
      const child = spawn(process.execPath, ['scripts/run.mjs', 'src/server.ts'], {
        cwd: ROOT,
        env: {
          PATH: process.env['PATH'],
          HOME: process.env['HOME'],
          TMPDIR: home.tmpDir,
          DATA_DIR: home.dataDir,
          MODELS_DIR: home.modelsDir,
          ROOT_API_KEY: API_KEY,
          PORT: String(port),
          WORKERS: String(workers),
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      api = child;
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          log.push(asLogLine(line));
          if (log.length > LOG_LINES_KEPT) log.shift();
        });
      }
      const deadline = Date.now() + START_TIMEOUT_MS;
      while (!(await answers(`http://127.0.0.1:${port}/healthz`))) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the service ended at its start:\n${endOf(log)}`);
        if (Date.now() > deadline) throw new Error(`the service did not start within ${START_TIMEOUT_MS / 1000} s:\n${endOf(log)}`);
        await delay(100);
      }
    },
    async stop() {
      const startedMs = performance.now();
      if (isUp()) api?.kill('SIGTERM');
      const left = await untilGone(() => processes(), STOP_TIMEOUT_MS);
      if (left.length > 0) {
        await killAll();
        throw new Error(`${STOP_TIMEOUT_MS / 1000} s after SIGTERM there still were ${left.map(({ role, pid }) => `${role} ${pid}`).join(', ')}`);
      }
      return (performance.now() - startedMs) / 1000;
    },
    async ended() {
      while (isUp()) await delay(50);
    },
    trainingProcess(jobId) {
      const line = log.findLast((found) => found['jobId'] === jobId && typeof found['trainingPid'] === 'number');
      const found = processes().find(({ pid }) => pid === line?.['trainingPid']);
      if (found !== undefined && found.role !== 'training') throw new Error(`process ${found.pid} trains a job, but is taken for "${found.role}"`);
      return found ?? null;
    },
  };
}

export const endOf = (log: readonly LogLine[], lines = 20): string =>
  log
    .slice(-lines)
    .map((line) => JSON.stringify(line))
    .join('\n');

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    (response) => response.ok,
    () => false,
  );

function asLogLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
}
