/**
 * Programs of ours, each as one file of JavaScript. Node reads one file in a third of the time that it takes for some 250 of TypeScript, each of which tsx
 * looks for and translates in another thread. src/one-file.ts and scripts/run.mjs run them while their sources are as they were here.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const PROGRAMS = [
  'src/server.ts',
  'src/files/reader-thread.ts',
  'workers/main.ts',
  'workers/base-models/import-program.ts',
  'workers/engine/cli.ts',
  'workers/export/program.ts',
  'workers/inference/program.ts',
  'workers/process/program.ts',
  'scripts/accounts.ts',
  'scripts/backup.ts',
];

/** Writes those that are not as their sources are, unless these are not there yet, as where an image is made. @param {string} root  @returns {Promise<void>} */
export async function bundlePrograms(root) {
  if (!PROGRAMS.every((program) => existsSync(join(root, program)))) return;
  const esbuild = await import('esbuild');
  await Promise.all(PROGRAMS.filter((program) => bundleOf(root, program) === null).map((program) => bundle(esbuild, root, program)));
}

/** @param {typeof import('esbuild')} esbuild  @param {string} root  @param {string} program */
async function bundle(esbuild, root, program) {
  const place = placeOf(root, program);
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
    plugins: [typeBoxWithin, ownPlaces],
  });
  mkdirSync(dirname(place), { recursive: true });
  rmSync(`${place}.json`, { force: true });
  for (const { path, contents } of outputFiles) {
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
  const own = Object.keys(metafile.inputs).filter((path) => !path.startsWith('node_modules/'));
  const sources = own.length < Object.keys(metafile.inputs).length ? [...own, TYPEBOX] : own;
  writeFileSync(`${place}.json`, JSON.stringify(sources.map((path) => stateOf(root, path))));
}

/** Another version of it has another one. */
const TYPEBOX = 'node_modules/typebox/package.json';

/** TypeBox has 700 files, whose reading takes as long as that of everything else. @type {import('esbuild').Plugin} */
const typeBoxWithin = {
  name: 'typebox-within',
  setup: (build) => build.onResolve({ filter: /^typebox(\/|$)/ }, ({ path }) => ({ path: fileURLToPath(import.meta.resolve(path)) })),
};

/** A source finds what is beside it, wherever it runs from. @type {import('esbuild').Plugin} */
const ownPlaces = {
  name: 'own-places',
  setup: (build) =>
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
      loader: 'ts',
    })),
};

const placeOf = (/** @type {string} */ root, /** @type {string} */ program) => join(root, 'node_modules', '.graft', program.replace(/\.ts$/, ''));

/** What tells whether a source has changed. @returns {[path: string, sizeBytes: number, modifiedMs: number]} */
function stateOf(/** @type {string} */ root, /** @type {string} */ path) {
  const { size, mtimeMs } = statSync(join(root, path));
  return [path, size, mtimeMs];
}

/** @param {string} root  @param {string} program  @returns {string | null} its one file; null where there is none or a source has changed since */
export function bundleOf(root, program) {
  const place = placeOf(root, program);
  try {
    const states = JSON.parse(readFileSync(`${place}.json`, 'utf8'));
    return states.every((/** @type {[string, number, number]} */ state) => String(stateOf(root, state[0])) === String(state)) ? `${place}.mjs` : null;
  } catch {
    return null;
  }
}

/** @returns {boolean} whether no source has changed since */
export const areBundled = (/** @type {string} */ root) => PROGRAMS.every((program) => bundleOf(root, program) !== null);
