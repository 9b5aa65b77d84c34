import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { areBundled, bundlePrograms, PROGRAMS } from '../scripts/setup/programs.mjs';
import { oneFile } from '../src/one-file.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'graft-one-file-'));
  for (const program of PROGRAMS) write(program, 'export {};\n');
  write('workers/process/program.ts', "import { place } from '../place.ts';\nconsole.log(place as string);\n");
  write('workers/place.ts', 'export const place: string = import.meta.url;\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const training = () => oneFile(join(root, 'workers/process/program.ts'), root);

describe('a program as one file', () => {
  it('that set-up has written › runs without a loader, and its parts still know their places', async () => {
    await bundlePrograms(root);
    expect(areBundled(root)).toBe(true);
    expect(execFileSync(process.execPath, [training()!], { encoding: 'utf8' }).trim()).toBe(pathToFileURL(join(root, 'workers/place.ts')).href);
  });

  it.each([
    ['changed', () => write('workers/place.ts', "export const place: string = 'elsewhere';\n")],
    ['been removed', () => rmSync(join(root, 'workers/place.ts'))],
  ])('of which a source has %s since › is not used, and set-up writes it again', async (_, change) => {
    await bundlePrograms(root);
    change();
    expect(training()).toBeNull();
    expect(areBundled(root)).toBe(false);
    write('workers/place.ts', "export const place: string = 'here';\n");
    await bundlePrograms(root);
    expect(execFileSync(process.execPath, [training()!], { encoding: 'utf8' }).trim()).toBe('here');
  });

  it('that set-up has not written, as where it runs before the sources are there › is not used', async () => {
    rmSync(join(root, 'workers/process/program.ts'));
    await bundlePrograms(root);
    expect(training()).toBeNull();
    expect(areBundled(root)).toBe(false);
  });
});
