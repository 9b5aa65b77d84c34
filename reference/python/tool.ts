/** Python packages that only tests need, each in its own environment, made once in the user's cache folder. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { onceInCache } from '../../scripts/setup/cache.mjs';

/** Requirements that pip installs. */
const TOOLS = { s3: 'moto[server]==5.2.5', 'clang-format': 'clang-format==20.1.8' };

/** @returns the path of the environment's python */
export async function pythonTool(tool: keyof typeof TOOLS): Promise<string> {
  const requirement = TOOLS[tool];
  const { folder } = await onceInCache(`python-${tool}-${requirement.split('==')[1]}`, async (into) => {
    const run = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      run('python3', '-m', 'venv', into);
      run(join(into, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement);
    } catch (error) {
      throw new Error(`Tests need ${requirement}; installing it takes python3 with venv and pip, and access to PyPI: ${(error as Error).message}`);
    }
  });
  return join(folder, 'bin', 'python');
}
