import { PrismaPg } from '@prisma/adapter-pg';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { storable } from './storable.ts';

export type Database = Omit<PrismaClient, '$on'>;
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

/**
 * The arguments of every query pass through `storable`, in transactions too, so no store has to care about text that Postgres cannot hold.
 * @param url `postgresql://…`; connections are opened by the first query and closed by `$disconnect()`
 */
export function openDatabase(url: string): Database {
  const adapter = new PrismaPg({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
  });
  const client = new PrismaClient({ adapter, transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: TRANSACTION_TIMEOUT_MS } });
  const cleaning = client.$extends({ query: { $allModels: { $allOperations: ({ args, query }) => query(storable(args)) } } });
  return cleaning as Database; // a query extension changes no types; Prisma only spells the extended type differently
}
