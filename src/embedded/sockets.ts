/** Where the embedded servers keep their Unix sockets. */
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nobody } from './unprivileged.ts';

/** Linux's limit on a socket path (sun_path without its terminating NUL). */
const maxSocketPathBytes = 107;
const longestNameBytes = '/.s.PGSQL.5432.lock'.length;

/**
 * Returns DATA_DIR/run if a socket path fits there, else a directory under the temporary folder, named after a hash of
 * DATA_DIR so that the next start finds a running server. Mode 700, because the sockets let anyone in without a password.
 */
export async function socketDirectory(dataDir: string): Promise<string> {
  const real = await realpath(dataDir);
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 16);
  const choices = [join(real, 'run'), ...[tmpdir(), '/tmp'].map((folder) => join(folder, `graft-${process.getuid?.() ?? 0}-${hash}`))];
  // The path becomes part of a URL, so it may contain only characters without a meaning there.
  const directory = choices.find((path) => /^[\w./-]+$/.test(path) && Buffer.byteLength(path) + longestNameBytes <= maxSocketPathBytes);
  if (directory === undefined) throw new Error(`A Unix socket needs a shorter or plainer path than ${choices.join(', ')}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const me = process.getuid?.() ?? 0;
  if (!found.isDirectory() || !(found.uid === me || (me === 0 && found.uid === nobody))) {
    throw new Error(`${directory} belongs to another user (${found.uid}). Remove it, or set TMPDIR to a directory of your own.`);
  }
  await chmod(directory, 0o700);
  return directory;
}
