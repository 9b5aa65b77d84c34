import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CuttingProxy {
  /** The database's address through the proxy. */
  url: string;
  /**
   * Cuts one connection at the nth message that clients send from now on.
   * @param when  `before` the server gets it, or `after` the server has answered it, so that only the answer is lost
   */
  cutAt(message: number, when: 'before' | 'after'): void;
  /** Messages since the last `cutAt`. */
  messages(): number;
  close(): Promise<void>;
}

/** Stands between clients and the embedded Postgres, and cuts connections at chosen moments. */
export async function openCuttingProxy(databaseUrl: string): Promise<CuttingProxy> {
  const dir = await mkdtemp(join(tmpdir(), 'graft-cut-'));
  const url = new URL(databaseUrl);
  const name = `.s.PGSQL.${url.port}`;
  const server = join(url.searchParams.get('host')!, name);
  const sockets = new Set<Socket>();
  let sent = 0;
  let cut: { message: number; when: 'before' | 'after' } | null = null;

  const listener = createServer((client) => {
    const upstream = connect(server);
    let answering = true;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (bytes) => {
      sent += 1;
      if (sent === cut?.message) {
        if (cut.when === 'before') return end();
        answering = false;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => (answering ? client.write(bytes) : end()));
  });
  await new Promise<void>((resolve) => listener.listen(join(dir, name), resolve));
  url.searchParams.set('host', dir);

  return {
    url: url.href,
    cutAt(message, when) {
      sent = 0;
      cut = { message, when };
    },
    messages: () => sent,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
