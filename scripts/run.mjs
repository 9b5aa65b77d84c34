/**
 * `node scripts/run.mjs PROGRAM ARGUMENTS…` runs one of our programs: from the one file that set-up has written of it, which starts in a third of the time,
 * or from its sources where there is none or one of them has changed.
 */
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleOf } from './setup/programs.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [, , given = '', ...args] = process.argv;
const program = resolve(root, given);
process.argv = [process.execPath, program, ...args];
const file = bundleOf(root, relative(root, program));
if (file !== null) {
  process.setSourceMapsEnabled(true);
  await import(pathToFileURL(join(file)).href);
} else {
  await import('tsx');
  await import(pathToFileURL(program).href);
}
