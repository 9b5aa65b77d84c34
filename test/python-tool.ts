import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** @returns the path of a Python that has a package which only tests need, installed where it is not yet */
export function pythonTool(tool: 's3' | 'clang-format'): string {
  const script = fileURLToPath(new URL('../reference/python/tool.mjs', import.meta.url));
  return execFileSync(process.execPath, [script, tool], { encoding: 'utf8' }).trim();
}
