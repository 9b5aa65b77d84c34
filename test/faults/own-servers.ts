/** Servers that the service does not own, and that a row can therefore stop, empty or put a proxy in front of. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type EmbeddedServer, startPostgres } from '../../src/embedded/postgres.ts';
import { startValkey } from '../../src/embedded/valkey.ts';

export interface OwnServer {
  url(): string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and starts it without its data. */
  restartEmpty(): Promise<void>;
}

export const ownPostgres = (dir: string): Promise<OwnServer> => ownServer(dir, startPostgres);
export const ownValkey = (dir: string): Promise<OwnServer> => ownServer(dir, startValkey);

async function ownServer(dir: string, open: (folders: { home: string; sockets: string }) => Promise<EmbeddedServer>): Promise<OwnServer> {
  const folders = { home: join(dir, 'home'), sockets: join(dir, 'run') };
  mkdirSync(folders.sockets, { recursive: true, mode: 0o700 });
  let server = await open(folders);
  const stop = () => server.stop();
  const start = async () => {
    server = await open(folders);
  };
  return {
    url: () => server.url,
    stop,
    start,
    async restartEmpty() {
      await stop();
      rmSync(folders.home, { recursive: true, force: true });
      await start();
    },
  };
}
