/** Where the embedded servers' Unix sockets lie. */
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nobody } from './unprivileged.ts';

/** Linux's limit for a socket's path (sun_path less its closing zero), in bytes. */
const longestSocketPath = 107;
const longestName = '/.s.PGSQL.5432.lock'.length;

/**
 * DATA_DIR/run where a socket's path fits; else a directory under the temporary folder, named by a hash of DATA_DIR so
 * that the next start finds a server that is still running. Mode 700: whoever reaches a socket is let in without a password.
 */
export async function socketDirectory(dataDir: string): Promise<string> {
  const real = await realpath(dataDir);
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 16);
  const choices = [join(real, 'run'), ...[tmpdir(), '/tmp'].map((folder) => join(folder, `graft-${process.getuid?.() ?? 0}-${hash}`))];
  // A URL carries the path: only characters that mean nothing in one.
  const directory = choices.find((path) => /^[\w./-]+$/.test(path) && Buffer.byteLength(path) + longestName <= longestSocketPath);
  if (directory === undefined) throw new Error(`No short enough path for a Unix socket among ${choices.join(', ')}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const me = process.getuid?.() ?? 0;
  if (!found.isDirectory() || !(found.uid === me || (me === 0 && found.uid === nobody))) {
    throw new Error(`${directory} belongs to somebody else (user ${found.uid}). Remove it, or set TMPDIR to a folder of yours.`);
  }
  await chmod(directory, 0o700);
  return directory;
}
