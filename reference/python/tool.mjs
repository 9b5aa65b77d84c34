/**
 * Python packages that only tests need, each in an environment of its own, made once in the user's cache folder.
 * `node reference/python/tool.mjs s3|clang-format` prints the path of the environment's Python.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { onceInCache } from '../../scripts/setup/cache.mjs';

/** What they are named here, and what pip is asked for. @type {Readonly<Record<string, string>>} */
const TOOLS = { s3: 'moto[server]==5.2.5', 'clang-format': 'clang-format==20.1.8' };

const tool = process.argv[2] ?? '';
const requirement = TOOLS[tool];
if (requirement === undefined) throw new Error(`"${tool}" is none of ${Object.keys(TOOLS).join(', ')}`);
const { folder } = await onceInCache(`python-${tool}-${requirement.split('==')[1]}`, async (into) => {
  const run = (/** @type {string} */ program, /** @type {string[]} */ ...args) =>
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    run('python3', '-m', 'venv', into);
    run(join(into, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement);
  } catch (error) {
    throw new Error(`Tests need ${requirement}, for which python3 with venv and pip, and PyPI, are needed: ${error.message}`);
  }
});
console.log(join(folder, 'bin', 'python'));
