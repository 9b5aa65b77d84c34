import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../scripts/demo/free-port.ts';

/** Importing MLflow takes a minute on a busy machine. */
const START_TIMEOUT_MS = 300_000;

/** MLflow's own server, on loopback, with its store in a folder: it can be stopped and started again. */
export async function mlflowServer(python: string, folder: string) {
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;

  async function stop(): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    process.kill(-child.pid!, 'SIGKILL'); // with the processes that it has started
    await exited;
  }
  return {
    uri,
    async start(): Promise<void> {
      const options = ['--backend-store-uri', `sqlite:///${join(folder, 'runs.db')}`, '--artifacts-destination', join(folder, 'artifacts')];
      const args = ['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1', ...options];
      const started = spawn(python, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DO_NOT_TRACK: 'true' } });
      child = started;
      let output = '';
      started.stderr.on('data', (text) => {
        output = `${output}${text}`.slice(-4_000);
      });
      const until = Date.now() + START_TIMEOUT_MS;
      while (!(await fetch(`${uri}/health`).catch(() => null))?.ok) {
        if (started.exitCode !== null || Date.now() > until) throw new Error(`MLflow did not start:\n${output}`);
        await delay(250);
      }
    },
    stop,
  };
}
