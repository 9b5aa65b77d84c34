import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { environmentWith } from '../config.ts';
import type { Services } from '../services.ts';

/** By path, not by import: the API process never loads TensorFlow. */
const workerProgram = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
/** Found from here: the service may have been started in any directory. */
const tsx = import.meta.resolve('tsx');

/** A worker that dies is started again after this long: time for what killed it to pass, and no busy loop. */
const RESTART_AFTER_MS = 2_000;
/** A worker finishes its step, writes a checkpoint and uploads it. */
const STOP_PATIENCE_MS = 60_000;

export interface WorkerProcesses {
  /** Asks them to stop, waits for their checkpoints, and kills what is left after a minute. */
  stop(): Promise<void>;
}

/** The workers that `npm start` runs itself, joined to the service's own servers, embedded or not. */
export function startWorkers({ config, urls, log }: Pick<Services, 'config' | 'urls' | 'log'>): WorkerProcesses {
  const env = environmentWith({ DATABASE_URL: urls.database, REDIS_URL: urls.redis, STORAGE_URL: urls.storage });
  const stopping = new AbortController();

  const keepRunning = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      // The IPC channel tells the worker when this process is gone: its `disconnect` comes even after a kill -9.
      const child = spawn(process.execPath, ['--import', tsx, workerProgram], {
        env,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      const stop = () => void stopChild(child);
      stopping.signal.addEventListener('abort', stop, { once: true });
      const outcome = await exitOf(child);
      stopping.signal.removeEventListener('abort', stop);
      if (stopping.signal.aborted) return;
      log.error({ worker: child.pid, outcome }, 'a worker ended and is started again');
      await delay(RESTART_AFTER_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };

  const running = Array.from({ length: config.workers }, keepRunning);
  return {
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  const exited = new AbortController();
  child.once('exit', () => exited.abort());
  child.kill('SIGTERM');
  await delay(STOP_PATIENCE_MS, undefined, { signal: exited.signal }).then(
    () => child.kill('SIGKILL'),
    () => {},
  );
}
