/** A worker listens on no port: it is healthy while this container's heartbeat in Postgres is recent. Exits 0 or 1. */
import { hostname } from 'node:os';
import pg from 'pg';

const client = new pg.Client({ connectionString: process.env['DATABASE_URL'], connectionTimeoutMillis: 5000 });
try {
  await client.connect();
  const { rowCount } = await client.query(
    `SELECT 1 FROM workers WHERE hostname = $1 AND heartbeat_at > (now() AT TIME ZONE 'UTC') - interval '90 seconds'`,
    [hostname()],
  );
  if (rowCount === 0) throw new Error(`no recent heartbeat from ${hostname()}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await client.end().catch(() => {});
}
