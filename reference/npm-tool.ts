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

/** @returns the folder of the package, made once */
export async function npmTool(tool: keyof typeof TOOLS): Promise<string> {
  const packages = TOOLS[tool];
  const versions = packages.map((name) => name.slice(name.lastIndexOf('@') + 1)).join('-');
  const { folder } = await onceInCache(`npm-${basename(tool)}-${versions}`, async (into) => {
    writeFileSync(join(into, 'package.json'), '{}');
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...packages], { cwd: into, stdio: 'inherit' });
  });
  return join(folder, 'node_modules', tool);
}
