/**
 * A Python environment with moto's S3 server, which the object store's tests speak to. Made once in the user's cache folder.
 * `node scripts/python-s3.mjs` prints the path of its Python.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const MOTO = '5.2.5';

/** @returns {string} the path of a Python that has `moto[server]` */
export function pythonWithS3() {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const home = join(cache, 'graft', `python-s3-moto-${MOTO}`);
  const python = join(home, 'bin', 'python');
  const stamp = join(home, 'complete');
  if (existsSync(stamp)) return python;
  rmSync(home, { recursive: true, force: true });
  mkdirSync(join(cache, 'graft'), { recursive: true });
  try {
    execFileSync('python3', ['-m', 'venv', home], { stdio: ['ignore', 'ignore', 'inherit'] });
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `moto[server]==${MOTO}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch (error) {
    throw new Error(`The S3 server for tests needs python3 with venv and pip, and PyPI (moto ${MOTO}): ${error.message}`);
  }
  closeSync(openSync(stamp, 'w'));
  return python;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(pythonWithS3());
