import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '../../src/database/client.ts';
import { migrate } from '../../src/database/migrate.ts';
import { startEmbedded } from '../../src/embedded/embedded.ts';

export interface EmbeddedDatabase {
  database: Database;
  databaseUrl: string;
  redisUrl: string;
  close(): Promise<void>;
}

/** Starts a migrated Postgres (and a Valkey if requested) for one test file. */
export async function openEmbeddedDatabase({ redis = false } = {}): Promise<EmbeddedDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), 'graft-test-'));
  const embedded = await startEmbedded({ dataDir, postgres: true, redis });
  const databaseUrl = embedded.databaseUrl!;
  await migrate(databaseUrl);
  const database = openDatabase(databaseUrl);
  const close = async () => {
    await database.$disconnect();
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { database, databaseUrl, redisUrl: embedded.redisUrl ?? '', close };
}
