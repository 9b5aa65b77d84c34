/** Programs of ours as set-up has written them: each one file of JavaScript, which starts in a third of the time. */
import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

type Source = [path: string, sizeBytes: number, modifiedMs: number];

/**
 * @param program the path of its TypeScript
 * @returns the path of the file, or null where set-up has written none or a source has changed after that
 */
export function oneFile(program: string, root = packageRoot): string | null {
  const place = join(root, 'node_modules', '.graft', relative(root, program).replace(/\.ts$/, ''));
  try {
    const sources = JSON.parse(readFileSync(`${place}.json`, 'utf8')) as Source[];
    return sources.every((source) => isAsItWas(source, root)) ? `${place}.mjs` : null;
  } catch {
    return null;
  }
}

function isAsItWas([path, sizeBytes, modifiedMs]: Source, root: string): boolean {
  const { size, mtimeMs } = statSync(join(root, path));
  return size === sizeBytes && mtimeMs === modifiedMs;
}
