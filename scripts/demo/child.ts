/** Starts, watches and stops the programs that the demo runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { freePort } from './free-port.ts';

export interface Service {
  url: string;
  child: ChildProcess;
  logFile: string;
}

interface Start {
  root: string;
  dataDir: string;
  logFile: string;
  settings?: Record<string, string>;
}

/** Not passed on: they could point the service at the user's own servers, and the demo uses private ones. */
const LEFT_OUT = ['DATABASE_URL', 'REDIS_URL', 'STORAGE_URL', 'ROOT_API_KEY', 'MODELS_DIR', 'WORKERS', 'HOST', 'PORT', 'LOG_LEVEL', 'LOG_FORMAT'];

/**
 * Starts the whole service: API, worker, private Postgres and Redis-compatible server.
 * @param logFile  receives its output
 * @param settings more of the environment
 */
export async function startService({ root, dataDir, logFile, settings }: Start): Promise<Service> {
  const port = await freePort();
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !LEFT_OUT.includes(name)));
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(process.execPath, ['scripts/run.mjs', 'src/server.ts'], {
    cwd: root,
    env: { ...env, DATA_DIR: dataDir, PORT: String(port), ...settings },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return { url: `http://127.0.0.1:${port}`, child, logFile };
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const isGone = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

/**
 * Resolves when /readyz answers 200: a worker has announced its base models.
 * @throws Error when the service stops or is not ready in time
 */
export async function untilReady(service: Service, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (isGone(service.child)) throw new Error(`The service stopped during start-up`);
    const response = await fetch(`${service.url}/readyz`).catch(() => null);
    if (response?.ok) return;
    await sleep(200);
  }
  throw new Error(`The service was not ready after ${timeoutMs / 1000} s`);
}

/** Asks it to shut down, and kills it after the grace period. */
export async function stopService({ child }: Service, graceMs = 20_000): Promise<void> {
  if (isGone(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}

export function endOfLog({ logFile }: Service, lines = 15): string {
  const text = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  return `Last lines of ${logFile}:\n${text}`;
}

/**
 * Runs one of the project's programs.
 * @returns its stdout
 * @throws Error with its output when it fails
 */
export async function runProgram(root: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const end = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (end !== 0) throw new Error(`${args.slice(0, 2).join(' ')} ended with ${typeof end === 'number' ? `code ${end}` : end}:\n${errors || output}`);
  return output;
}
