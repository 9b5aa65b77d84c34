/** Installs the npm packages exactly as package-lock.json lists them, without their install scripts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './progress.mjs';

/** @returns {Promise<boolean>} whether they had to be installed */
export async function installPackages({ root, development }) {
  if (await areInstalled({ root, development })) return false;
  // Several packages' scripts download from hosts that closed networks do not reach; later steps of set-up do the necessary parts of them.
  const omit = development ? ['--include=dev'] : ['--omit=dev'];
  await run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...omit], { cwd: root });
  return true;
}

/** Compares the lock file with npm's own record of what it installed, which it writes last. */
async function areInstalled({ root, development }) {
  const read = async (/** @type {string} */ path) => JSON.parse(await readFile(join(root, path), 'utf8')).packages;
  try {
    const [wanted, found] = await Promise.all([read('package-lock.json'), read('node_modules/.package-lock.json')]);
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === '' || (entry.dev && !development)) return true;
      // A package for another platform is not installed.
      if (found[path] === undefined) return Boolean(entry.optional || entry.devOptional || entry.peer);
      return found[path].version === entry.version && found[path].integrity === entry.integrity;
    });
  } catch {
    return false;
  }
}
