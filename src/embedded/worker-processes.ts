import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { environmentWith } from '../config.ts';
import { oneFile } from '../one-file.ts';
import type { Services } from '../services.ts';
import { WORKERS_STOP_MS } from '../stop-in-time.ts';
import { endIfSilent, SILENT_MS } from './end-if-silent.ts';

/** By path, not by import: the API process never loads TensorFlow. */
const workerProgram = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
/** Resolved from this file: the service may have been started in any directory. */
const tsx = import.meta.resolve('tsx');

/** Pause before a dead worker is restarted. It doubles while workers die before they take jobs, so that one that cannot start costs little. */
const FIRST_RESTART_AFTER_MS = 250;
const LAST_RESTART_AFTER_MS = 30_000;
/** What a worker tells its parent once it takes jobs. */
export const TAKES_JOBS = 'takes jobs';
/** A little more than a worker gives itself. */
const STOP_TIMEOUT_MS = WORKERS_STOP_MS + 2_000;

export interface WorkerProcesses {
  /** Asks them to stop, waits for their checkpoints, and kills those still running after a minute. */
  stop(): Promise<void>;
}

/**
 * Starts the workers that `npm start` runs itself, connected to the service's own servers, embedded or not.
 * @param options.onExit called when one has ended by itself
 */
export function startWorkers({ config, urls, log }: Pick<Services, 'config' | 'urls' | 'log'>, { onExit }: { onExit(): void }): WorkerProcesses {
  const { workerPort } = config.monitoring;
  const environmentOf = (index: number) =>
    environmentWith({
      ...{ DATABASE_URL: urls.database, REDIS_URL: urls.redis, STORAGE_URL: urls.storage },
      ...(workerPort !== null && { WORKER_METRICS_PORT: String(workerPort + index) }),
    });
  const stopping = new AbortController();

  const keepRunning = async (env: NodeJS.ProcessEnv): Promise<void> => {
    let restartAfterMs = FIRST_RESTART_AFTER_MS;
    while (!stopping.signal.aborted) {
      // The IPC channel tells the worker when this process is gone: it emits `disconnect` even after a kill -9.
      const file = oneFile(workerProgram);
      const child = spawn(process.execPath, file === null ? ['--import', tsx, workerProgram] : ['--enable-source-maps', file], {
        env,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      const stop = () => void stopChild(child);
      stopping.signal.addEventListener('abort', stop, { once: true });
      child.on('message', (message) => {
        if (message === TAKES_JOBS) restartAfterMs = FIRST_RESTART_AFTER_MS;
      });
      endIfSilent(child, () => log.error({ worker: child.pid }, `a worker has been silent for ${SILENT_MS / 1000} s and is killed`));
      const outcome = await exitOf(child);
      stopping.signal.removeEventListener('abort', stop);
      if (stopping.signal.aborted) return;
      onExit();
      log.error({ worker: child.pid, outcome, restartAfterMs }, 'a worker ended and will be restarted');
      await delay(restartAfterMs, undefined, { signal: stopping.signal }).catch(() => {});
      restartAfterMs = Math.min(2 * restartAfterMs, LAST_RESTART_AFTER_MS);
    }
  };

  const running = Array.from({ length: config.workers }, (_, index) => keepRunning(environmentOf(index)));
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
  await delay(STOP_TIMEOUT_MS, undefined, { signal: exited.signal }).then(
    () => child.kill('SIGKILL'),
    () => {},
  );
}
