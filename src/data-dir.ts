import { mkdirSync, statSync } from 'node:fs';
import type { Logger } from 'pino';

/** What this process and its children make is for its user alone: datasets, models, keys. */
const OWNER_ALONE = 0o077;
/** Others may pass through, as `nobody` to its Postgres, but neither list nor change anything. */
const READ_OR_WRITE = 0o066;

/**
 * Makes DATA_DIR, and every file from now on, accessible to this user alone. A directory that others can enter already is left as it is, and said so:
 * the operator may have meant it.
 */
export function openDataDir(dataDir: string, log: Logger): void {
  process.umask(OWNER_ALONE);
  mkdirSync(dataDir, { recursive: true });
  const { mode } = statSync(dataDir);
  if ((mode & READ_OR_WRITE) !== 0)
    log.warn(
      { dataDir, mode: (mode & 0o777).toString(8) },
      'other users of this machine can look into DATA_DIR, where datasets and keys are: `chmod 700` it',
    );
}
