/** The files of a single Python package, without what it requires: made once in the user's cache folder. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { onceInCache } from '../../scripts/setup/cache.mjs';

/**
 * @param requirement e.g. `trl==1.16.0`
 * @param python      path of a python that has pip
 * @returns the folder that holds the package
 */
export async function pythonPackage(requirement: string, python: string): Promise<string> {
  const [name, version] = requirement.split('==');
  const { folder } = await onceInCache(`python-package-${name}-${version}`, async (into) => {
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-deps', '--target', into, requirement];
    execFileSync(python, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  });
  return join(folder, name!);
}
