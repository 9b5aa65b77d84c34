/** Programs from npm that only checks need, each in its own folder, made once in the user's cache folder. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onceInCache } from '../scripts/setup/cache.mjs';

/** Among the project's own packages their TypeScript would be a second one: they call the compiler's JavaScript API, which TypeScript 7 no longer has. */
const TOOLS = { 'openapi-ts': ['@hey-api/openapi-ts@0.95.0', 'typescript@5.9.3'] } as const;

/** @returns the path of the program */
export async function npmTool(tool: keyof typeof TOOLS): Promise<string> {
  const packages = TOOLS[tool];
  const versions = packages.map((name) => name.slice(name.lastIndexOf('@') + 1)).join('-');
  const { folder } = await onceInCache(`npm-${tool}-${versions}`, async (into) => {
    writeFileSync(join(into, 'package.json'), '{}');
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...packages], { cwd: into, stdio: 'inherit' });
  });
  return join(folder, 'node_modules', '.bin', tool);
}
