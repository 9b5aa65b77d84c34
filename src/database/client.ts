import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { storable } from './storable.ts';

export type Database = Omit<PrismaClient, '$on'> & {
  /**
   * Reads without Prisma, which takes three times as long over a row: for what clients ask again and again. Columns are named as the query names them.
   * @param text with `$1`, `$2` … for the values
   */
  $rows<T>(text: string, values: readonly unknown[]): Promise<T[]>;
};
/** The same within a transaction. */
export type Transaction = Prisma.TransactionClient;

/** How long a query waits for a connection: for one of the pool, or for a server to accept a new one. */
const CONNECT_TIMEOUT_MS = 5_000;
/** How long the server works on one statement. The largest, a receipt or a thousand metrics, take well under a second. */
const STATEMENT_TIMEOUT_MS = 15_000;
/** How long a statement waits for a lock. A transaction here holds one for milliseconds, unless its process was stopped. */
const LOCK_TIMEOUT_MS = 5_000;
/** How long a transaction may do nothing: then its process is asleep, and the job whose row it has locked must not sleep with it. */
const IDLE_TRANSACTION_TIMEOUT_MS = 10_000;
/** How long the client waits for an answer: longer than the server works, so only a connection that is dead without a sign comes to it. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5_000;
/** How long a transaction takes as a whole. */
const TRANSACTION_TIMEOUT_MS = 20_000;

/** As Prisma reads them: times are in UTC, and long integers whole. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === pg.types.builtins.TIMESTAMP) return (text: string) => new Date(`${text.replace(' ', 'T')}Z`);
    if (oid === pg.types.builtins.INT8) return BigInt;
    return pg.types.getTypeParser(oid, format);
  },
};

/**
 * The arguments of every query pass through `storable`, in transactions too, so no store has to care about text that Postgres cannot hold.
 * @param url `postgresql://…`; connections are opened by the first query and closed by `$disconnect()`
 */
export function openDatabase(url: string): Database {
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
  });
  // A connection that is cut while nobody uses it: the next query opens another.
  pool.on('error', () => {});
  const adapter = new PrismaPg(pool, { disposeExternalPool: true });
  const client = new PrismaClient({ adapter, transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: TRANSACTION_TIMEOUT_MS } });
  const extended = client.$extends({
    query: { $allModels: { $allOperations: ({ args, query }) => query(storable(args)) } },
    client: {
      async $rows<T>(text: string, values: readonly unknown[]): Promise<T[]> {
        return (await pool.query({ text, values: values.map(storable), types })).rows as T[];
      },
    },
  });
  return extended as unknown as Database; // a query extension changes no types; Prisma only spells the extended type differently
}
