/** Python packages that only tests need, each in its own environment, made once in the user's cache folder. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { onceInCache } from '../../scripts/setup/cache.mjs';

/** Requirements that pip installs. */
const TOOLS = {
  s3: ['moto[server]==5.2.5'],
  'clang-format': ['clang-format==20.1.8'],
  // Hypothesis chooses the inputs: another version tries others.
  schemathesis: ['schemathesis==4.32.5', 'hypothesis==6.170.17'],
  openai: ['openai==3.57.0'],
  'openapi-python-client': ['openapi-python-client==0.29.1'],
  mlflow: ['mlflow==3.17.2'],
  wandb: ['wandb==0.31.0'],
  // Without setuptools' pkg_resources, which newer ones lack, it does not start.
  tensorboard: ['tensorboard==2.21.0', 'setuptools==80.9.0'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

export const pythonTools = Object.keys(TOOLS) as (keyof typeof TOOLS)[];

/** @returns the path of the environment's python */
export async function pythonTool(tool: keyof typeof TOOLS): Promise<string> {
  const requirements = TOOLS[tool];
  const versions = requirements.map((requirement) => requirement.split('==')[1]).join('-');
  const { folder } = await onceInCache(`python-${tool}-${versions}`, async (into) => {
    const run = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      run('python3', '-m', 'venv', into);
      run(join(into, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements);
    } catch (error) {
      throw new Error(
        `Tests need ${requirements.join(' and ')}; installing that takes python3 with venv and pip, and access to PyPI: ${(error as Error).message}`,
      );
    }
  });
  return join(folder, 'bin', 'python');
}
