import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import { storable } from './storable.ts';

export type Database = Omit<PrismaClient, '$on'>;

/**
 * The arguments of every query pass through `storable`, in transactions too, so no store has to care about text that Postgres cannot hold.
 * @param url `postgresql://…`; connections are opened by the first query and closed by `$disconnect()`
 */
export function openDatabase(url: string): Database {
  const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  const cleaning = client.$extends({ query: { $allModels: { $allOperations: ({ args, query }) => query(storable(args)) } } });
  return cleaning as Database; // a query extension changes no types; Prisma only spells the extended type differently
}
