import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import { storable } from './storable.ts';

export type Database = Omit<PrismaClient, '$on'>;

/**
 * All that is written and all that is looked for goes through `storable` here, in transactions too: no store thinks of what Postgres cannot hold.
 * @param url `postgresql://…`; connections are opened by the first query and closed by `$disconnect()`
 */
export function openDatabase(url: string): Database {
  const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  const cleaning = client.$extends({ query: { $allModels: { $allOperations: ({ args, query }) => query(storable(args)) } } });
  return cleaning as Database; // an extension of queries changes no type; Prisma's generic one is only written differently
}
