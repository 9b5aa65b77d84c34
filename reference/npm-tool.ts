/** Packages from npm that only checks need, each in its own folder, made once in the user's cache folder. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { onceInCache } from '../scripts/setup/cache.mjs';

const TOOLS = {
  // It calls the compiler's JavaScript API, which the project's own TypeScript 7 no longer has.
  '@hey-api/openapi-ts': ['@hey-api/openapi-ts@0.95.0', 'typescript@5.9.3'],
  'puppeteer-core': ['puppeteer-core@24.43.1'],
} as const;

export const npmTools = Object.keys(TOOLS) as (keyof typeof TOOLS)[];

/** @returns the folder of the package, made once */
export async function npmTool(tool: keyof typeof TOOLS): Promise<string> {
  const packages = TOOLS[tool];
  const versions = packages.map((name) => name.slice(name.lastIndexOf('@') + 1)).join('-');
  const { folder } = await onceInCache(`npm-${basename(tool)}-${versions}`, async (into) => {
    npmInstall(packages, { into, scripts: false });
  });
  return join(folder, 'node_modules', tool);
}

/** Installs packages into an empty folder. Not with --prefix, which would ignore npm's global settings. */
export function npmInstall(packages: readonly string[], { into, scripts }: { into: string; scripts: boolean }): void {
  writeFileSync(join(into, 'package.json'), '{}');
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', `--ignore-scripts=${!scripts}`, ...quiet, ...packages], { cwd: into, stdio: ['ignore', 'ignore', 'inherit'] });
}
