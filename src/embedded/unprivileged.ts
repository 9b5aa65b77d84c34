/** Postgres refuses to run as root. As root, it is started as somebody else. */
import { chown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, runCommand } from './command.ts';

/** `nobody` on every Linux. */
export const nobody = 65534;

/**
 * Ordinary users run Postgres as themselves. Root runs it in a user namespace where it is called 1000, which changes no
 * file's owner; where namespaces are refused (a container's default), as `nobody`, who must then own the data.
 */
export async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const namespace = { prefix: ['unshare', '--user', '--map-user=1000', '--map-group=1000'] };
  return runCommand(['true'], namespace).then(
    () => namespace,
    () => ({ prefix: [], uid: nobody, gid: nobody }),
  );
}

/** Gives a directory, with all in it, to the identity that will use it. */
export async function giveTo({ uid, gid }: Identity, directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const owner = { uid: uid ?? 0, gid: gid ?? 0 };
  if ((await stat(directory)).uid === owner.uid) return;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  // Last, so that an interrupted change of hands is done again.
  await chown(directory, owner.uid, owner.gid);
}

/** @throws Error saying what to do when this identity cannot run the program, because of a directory on the way to it */
export async function checkItCanRun(identity: Identity, program: string): Promise<void> {
  await runCommand([program, '--version'], identity).catch((error: Error) => {
    const why =
      identity.uid === undefined
        ? error.message
        : `Postgres refuses to run as root, this machine refuses user namespaces, and user ${identity.uid} cannot run it: ${error.message}`;
    throw new Error(`The embedded Postgres does not start.\n${why}\nStart Graft as an ordinary user, or set DATABASE_URL to a Postgres of yours.`);
  });
}
