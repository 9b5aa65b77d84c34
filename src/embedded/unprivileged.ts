/** Postgres refuses to run as root, so root starts it as another user. */
import { chmod, chown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, runCommand } from './command.ts';

/** `nobody` on every Linux. */
export const nobody = 65534;

/**
 * Ordinary users run Postgres as themselves. Root runs it as user 1000 of a user namespace, which changes no file's owner;
 * where namespaces are refused (the default in containers), as `nobody`, who must then own the data.
 */
export async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const namespace = { prefix: ['unshare', '--user', '--map-user=1000', '--map-group=1000'] };
  return runCommand(['true'], namespace).then(
    () => namespace,
    () => ({ prefix: [], uid: nobody, gid: nobody }),
  );
}

/** Makes the identity that will use a directory the owner of it and everything in it. */
export async function chownTo({ uid, gid }: Identity, directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const owner = { uid: uid ?? 0, gid: gid ?? 0 };
  if ((await stat(directory)).uid === owner.uid) return;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  // Last, so that an interrupted change of ownership is repeated.
  await chown(directory, owner.uid, owner.gid);
}

/** Lets another user pass through a directory of ours to its own one in it. */
export async function letThrough({ uid }: Identity, directory: string): Promise<void> {
  if (uid !== undefined) await chmod(directory, 0o711);
}

/** @throws Error saying what to do when this identity cannot run the program, e.g. because it cannot enter a parent directory */
export async function checkExecutable(identity: Identity, program: string): Promise<void> {
  await runCommand([program, '--version'], identity).catch((error: Error) => {
    const why =
      identity.uid === undefined
        ? error.message
        : `Postgres refuses to run as root, this machine refuses user namespaces, and user ${identity.uid} cannot run it: ${error.message}`;
    throw new Error(`The embedded Postgres cannot start.\n${why}\nStart Graft as an ordinary user, or set DATABASE_URL to your own Postgres.`);
  });
}
