/** A proxy in front of Postgres that cuts a connection after a commit has happened and before its answer arrives. */
import { createConnection, createServer, type Socket } from 'node:net';
import pg from 'pg';

/** How long an answer is held: enough for the notice of the commit to overtake it. */
const HOLD_MS = 40;
const CHANNEL = 'graft_faults';

export interface PostgresProxy {
  url: string;
  /** Cuts the connection of each transaction that sets a job's status to this, right after its commit, `times` times. */
  cutAfter(status: string, times: number): Promise<void>;
  cuts(): number;
  close(): Promise<void>;
}

/** @param databaseUrl with the socket's directory as its `host` parameter */
export async function openPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const target = new URL(databaseUrl);
  const socket = `${target.searchParams.get('host')}/.s.PGSQL.${target.port || 5432}`;
  const clients = new Map<number, Socket>();
  let [left, cut] = [0, 0];

  const server = createServer((client) => {
    const upstream = createConnection(socket);
    let backend: number | null = null;
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      backend ??= backendPid(chunk);
      if (backend !== null) clients.set(backend, client);
      if (left === 0) client.write(chunk);
      else setTimeout(() => client.destroyed || client.write(chunk), HOLD_MS);
    });
    const end = () => {
      if (backend !== null && clients.get(backend) === client) clients.delete(backend);
      client.destroy();
      upstream.destroy();
    };
    for (const side of [client, upstream]) side.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };

  const watcher = new pg.Client({ connectionString: databaseUrl });
  watcher.on('error', () => {});
  await watcher.connect();
  // Postgres sends a notice once its transaction has committed.
  watcher.on('notification', ({ payload }) => {
    if (left === 0) return;
    const client = clients.get(Number(payload));
    if (client === undefined) return;
    left--;
    cut++;
    client.destroy();
  });
  await watcher.query(`LISTEN ${CHANNEL}`);

  return {
    url: `postgresql://${target.username || 'postgres'}@127.0.0.1:${port}${target.pathname}`,
    async cutAfter(status, times) {
      if (!/^[a-z_]+$/.test(status)) throw new Error(`${status} is no status`);
      await watcher.query(`CREATE OR REPLACE FUNCTION graft_faults_notify() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('${CHANNEL}', pg_backend_pid()::text); RETURN NULL; END $$`);
      await watcher.query(`CREATE OR REPLACE TRIGGER graft_faults AFTER UPDATE OF status ON jobs FOR EACH ROW
        WHEN (NEW.status = '${status}' AND OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION graft_faults_notify()`);
      left = times;
    },
    cuts: () => cut,
    async close() {
      for (const client of clients.values()) client.destroy();
      await watcher.end().catch(() => {});
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** From the BackendKeyData message ('K', length 12, pid, key) at the end of a connection's start. */
function backendPid(chunk: Buffer): number | null {
  for (let at = chunk.indexOf(0x4b); at !== -1 && at + 13 <= chunk.length; at = chunk.indexOf(0x4b, at + 1))
    if (chunk.readInt32BE(at + 1) === 12) return chunk.readInt32BE(at + 5);
  return null;
}
