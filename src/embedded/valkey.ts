/** A private Valkey (the open-source fork of Redis): data in one directory, reachable only over a Unix socket. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { endProcess } from './command.ts';
import type { EmbeddedServer } from './postgres.ts';

/** Where set-up installs the server. */
const program = fileURLToPath(new URL('../../node_modules/.graft/valkey-server', import.meta.url));
const startTimeoutMs = 30_000;

/**
 * Starts Valkey on `home`, or reuses the one already running there.
 * @returns the socket path as the URL, which ioredis accepts as its first argument
 * @throws Error with the end of the server's log
 */
export async function startValkey({ home, sockets }: { home: string; sockets: string }): Promise<EmbeddedServer> {
  const socket = join(sockets, 'valkey.sock');
  const log = join(home, 'valkey.log');
  // Valkey does not lock its directory, and two servers would mix up their files there: check for a running one first.
  let pid = await answeringPid(socket);
  if (pid === null) {
    if (!existsSync(program)) {
      throw new Error(`The embedded Valkey is not installed. Run \`npm run setup\`, or set REDIS_URL to your own Redis.`);
    }
    await mkdir(home, { recursive: true, mode: 0o700 });
    const output = await open(log, 'a', 0o600);
    const storing = ['--dir', home, '--appendonly', 'yes', '--save', ''];
    const child = spawn(program, ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', ...storing], {
      // In its own session, so that Ctrl-C reaches only the service, which then stops the server.
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    let ended: string | null = null;
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, signal) => {
      ended = `it exited with ${code ?? signal}`;
    });
    child.unref();
    await output.close();
    const deadline = Date.now() + startTimeoutMs;
    while (pid === null) {
      if (ended !== null || Date.now() > deadline) {
        const tail = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-8).join('\n');
        throw new Error(`The embedded Valkey could not start: ${ended ?? 'no answer in 30 seconds'}.\nIts log (${log}) ends with\n${tail}`);
      }
      await delay(20);
      pid = await answeringPid(socket);
    }
  }
  const found = pid;
  return { url: socket, pid: found, stop: () => endProcess(found, 'SIGTERM') };
}

/** Pid of the server behind a socket once it has loaded its data, or null. */
async function answeringPid(socket: string): Promise<number | null> {
  if (!existsSync(socket)) return null;
  const client = new Redis(socket, { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0, connectTimeout: 2000 });
  client.on('error', () => {}); // connect() rejects as well
  try {
    await client.connect(); // resolves once the server has finished loading
    const pid = /process_id:(\d+)/.exec(await client.info('server'))?.[1];
    return pid === undefined ? null : Number(pid);
  } catch {
    return null;
  } finally {
    client.disconnect();
  }
}
