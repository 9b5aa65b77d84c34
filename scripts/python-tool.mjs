/**
 * Programs in Python packages that only tests need, each in an environment of its own, made once in the user's cache folder.
 * `node scripts/python-tool.mjs s3|clang-format` prints the path of the environment's `bin`.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What they are named here, and what pip is asked for. @type {Readonly<Record<string, string>>} */
const TOOLS = { s3: 'moto[server]==5.2.5', 'clang-format': 'clang-format==20.1.8' };

/** @returns {string} the folder that has the tool's programs, `python` among them */
function binOf(/** @type {string} */ tool) {
  const requirement = TOOLS[tool];
  if (requirement === undefined) throw new Error(`"${tool}" is none of ${Object.keys(TOOLS).join(', ')}`);
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'graft');
  const home = join(cache, `python-${tool}-${requirement.split('==')[1]}`);
  const bin = join(home, 'bin');
  const stamp = join(home, 'complete');
  if (existsSync(stamp)) return bin;
  rmSync(home, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  const quietly = { stdio: /** @type {['ignore', 'ignore', 'inherit']} */ (['ignore', 'ignore', 'inherit']) };
  try {
    execFileSync('python3', ['-m', 'venv', home], quietly);
    execFileSync(join(bin, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement], quietly);
  } catch (error) {
    throw new Error(`Tests need ${requirement}, for which python3 with venv and pip, and PyPI, are needed: ${error.message}`);
  }
  closeSync(openSync(stamp, 'w'));
  return bin;
}

console.log(binOf(process.argv[2] ?? ''));
