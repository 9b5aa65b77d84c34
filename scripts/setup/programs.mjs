/**
 * The programs that a worker forks, each as one file of JavaScript. Node reads one file in a third of the time that it takes for some 250 of TypeScript,
 * each of which tsx looks for and translates in another thread. workers/process/one-file.ts runs them while their sources are as they were here.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PROGRAMS = ['workers/process/program.ts', 'workers/inference/program.ts', 'workers/export/program.ts'];

/** Writes them, unless their sources are not there yet, as where an image is made. @param {string} root  @returns {Promise<void>} */
export async function bundlePrograms(root) {
  if (!PROGRAMS.every((program) => existsSync(join(root, program)))) return;
  const esbuild = await import('esbuild');
  for (const program of PROGRAMS) {
    const place = join(root, 'node_modules', '.graft', program.replace(/\.ts$/, ''));
    const { outputFiles, metafile } = await esbuild.build({
      absWorkingDir: root,
      entryPoints: [program],
      outfile: `${place}.mjs`,
      write: false,
      metafile: true,
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      // Positions in stack traces are those of the TypeScript.
      sourcemap: 'linked',
      sourcesContent: false,
      plugins: [
        { name: 'own-places', setup: (build) => build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({ contents: withOwnPlace(path), loader: 'ts' })) },
      ],
    });
    mkdirSync(dirname(place), { recursive: true });
    rmSync(`${place}.json`, { force: true });
    for (const { path, contents } of outputFiles) {
      writeFileSync(`${path}.new`, contents);
      renameSync(`${path}.new`, path);
    }
    writeFileSync(`${place}.json`, JSON.stringify(Object.keys(metafile.inputs).map((path) => stateOf(root, path))));
  }
}

/** What tells whether a source has changed. @returns {[path: string, sizeBytes: number, modifiedMs: number]} */
function stateOf(/** @type {string} */ root, /** @type {string} */ path) {
  const { size, mtimeMs } = statSync(join(root, path));
  return [path, size, mtimeMs];
}

/** A source that finds what is beside it, wherever it runs from. */
const withOwnPlace = (/** @type {string} */ path) =>
  readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href));

/** @returns {boolean} whether no source has changed since */
export function areBundled(/** @type {string} */ root) {
  return PROGRAMS.every((program) => {
    try {
      const states = JSON.parse(readFileSync(join(root, 'node_modules', '.graft', program.replace(/\.ts$/, '.json')), 'utf8'));
      return states.every((/** @type {[string, number, number]} */ state) => String(stateOf(root, state[0])) === String(state));
    } catch {
      return false;
    }
  });
}
