/**
 * `npm run accounts -- …`: organizations, projects and keys of the service that the environment describes, for whoever runs it. Needs no key, and works
 * while the service runs: other processes notice within 5 seconds.
 */
import { openKeyStore } from '../src/api-keys/store.ts';
import { openAuditStore } from '../src/audit/store.ts';
import { readConfig } from '../src/config.ts';
import { openDatabase } from '../src/database/client.ts';
import { migrate } from '../src/database/migrate.ts';
import { Refusal } from '../src/formats/refusal.ts';
import { openOrganizationStore } from '../src/organizations/store.ts';
import { openProjectStore } from '../src/projects/store.ts';
import { serverUrls } from '../src/services.ts';
import { runCommand, USAGE, UsageError } from './accounts/commands.ts';

const closers: (() => Promise<unknown>)[] = [];
try {
  const { database: databaseUrl } = await serverUrls(readConfig(), { closers });
  await migrate(databaseUrl);
  const database = openDatabase(databaseUrl);
  closers.push(() => database.$disconnect());
  const stores = {
    organizations: openOrganizationStore(database),
    projects: openProjectStore(database),
    keys: openKeyStore(database),
    audit: openAuditStore(database),
  };
  await runCommand(process.argv.slice(2), stores, (line) => console.log(line));
} catch (error) {
  if (error instanceof UsageError) console.error(error.message === '' ? USAGE : `${error.message}\n\n${USAGE}`);
  else console.error(error instanceof Refusal ? error.text : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  for (const closer of closers.reverse()) await closer();
}
