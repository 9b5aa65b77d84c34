import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface ServerProcess {
  child: ChildProcess;
  output(): string;
  /** Resolves to its exit code once all its output is there. */
  exited: Promise<number | null>;
  /** Resolves to the output when it has such a text. */
  says(text: RegExp): Promise<string>;
}

export interface ServerProcesses {
  dataDir: string;
  /** `npm start` with these settings and no worker. */
  start(settings?: Record<string, string>): ServerProcess;
  /** Kills those that still run. */
  close(): Promise<void>;
}

/** Servers that are processes of their own, one after the other on the same DATA_DIR. */
export async function openServerProcesses(): Promise<ServerProcesses> {
  const dataDir = await mkdtemp(join(tmpdir(), 'graft-test-'));
  const children: ChildProcess[] = [];
  return {
    dataDir,
    start(settings = {}) {
      const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], DATA_DIR: dataDir, PORT: '0', WORKERS: '0', ...settings };
      const child = spawn(process.execPath, ['scripts/run.mjs', 'src/server.ts'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
      const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
      return {
        child,
        output: () => text,
        exited,
        async says(wanted) {
          while (!wanted.test(text)) {
            if (hasEnded(child)) throw new Error(`the server ended with ${await exited}: ${text}`);
            await delay(50);
          }
          return text;
        },
      };
    },
    async close() {
      for (const child of children) if (!hasEnded(child)) child.kill('SIGKILL');
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;
