/**
 * TensorFlow.js on a current TensorFlow. The library that @tensorflow/tfjs-node-gpu would download is from 2022 and
 * supports no newer GPU. Its binding uses TensorFlow's C API, so it compiles unchanged against the library in
 * TensorFlow's Python package.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { eachAtOnce } from './at-once.mjs';
import { cacheFolder, onceInCache } from './cache.mjs';
import { filesBelow } from './files.mjs';
import { kernelUnits } from './kernels.mjs';
import { run } from './progress.mjs';
import { compiler } from './requirements.mjs';
import { unpackWheel } from './wheel.mjs';

export const tensorflowVersion = '2.21.0';

/** Downloads TensorFlow into the cache, once per version. @returns {Promise<{folder: string, filled: boolean}>} */
export function tensorflowLibrary(/** @type {'cpu' | 'cuda'} */ variant) {
  return onceInCache(`tensorflow-${variant}-${tensorflowVersion}-${process.arch}-headers`, async (folder) => {
    // On arm64 the package `tensorflow` is the one for the CPU.
    const name = variant === 'cuda' || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
    const headers = 'include\\/(absl|Eigen|google|ml_dtypes|tensorflow|tsl|unsupported|xla)\\/';
    const keep = new RegExp(`^tensorflow\\/(libtensorflow_(cc|framework)\\.so\\.2$|${headers})|\\.dist-info\\/(METADATA|LICENSE)$`);
    await unpackWheel(`${name}==${tensorflowVersion}`, { into: folder, keep });
    const library = join(folder, 'tensorflow');
    // The linker looks for these names.
    await symlink('libtensorflow_cc.so.2', join(library, 'libtensorflow.so'));
    await symlink('libtensorflow_framework.so.2', join(library, 'libtensorflow_framework.so'));
    if (variant === 'cuda')
      for (const requirement of await cudaRequirements(folder)) await unpackWheel(requirement, { into: folder, keep: /^nvidia\// });
  });
}

/** The CUDA libraries that this TensorFlow names as its extra `and-cuda`. They are unpacked beside it, where its RUNPATH points. */
async function cudaRequirements(/** @type {string} */ folder) {
  const metadata = await readFile(join(folder, `tensorflow-${tensorflowVersion}.dist-info`, 'METADATA'), 'utf8');
  const requirements = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;\s]+) *; *extra == ["']and-cuda["']/gm)].map(([, name = '']) => name);
  if (requirements.length === 0) throw new Error(`TensorFlow ${tensorflowVersion} names no CUDA packages`);
  return requirements;
}

/**
 * Compiles the binding, once per version, and puts it with links to the library into the npm package.
 * This does what binding.gyp does on Linux, but without node-gyp, which would first download Node's headers: the binding needs Node-API alone, whose
 * headers are an npm package. Node-API is the same in every Node, so one binding serves them all. The engine's own kernels and session hooks
 * (workers/engine/kernels) are compiled into it.
 * @returns {Promise<{built: boolean}>}
 */
export async function tensorflowBinding({ root, variant, library }) {
  const require = createRequire(join(root, 'package.json'));
  const tfjs = dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));
  const { version } = require('@tensorflow/tfjs-node-gpu/package.json');
  await mkdir(join(tfjs, 'deps'), { recursive: true });
  // Links to folders, not to files: the library looks for its neighbours in the folder from which it was opened.
  await linkFolder(join(library, 'tensorflow'), join(tfjs, 'deps', 'lib'));
  await linkFolder(join(library, 'tensorflow', 'include'), join(tfjs, 'deps', 'include'));

  const kernels = join(root, 'workers', 'engine', 'kernels');
  const name = `tfjs-binding-${version}-kernels-${await hashOf(kernels)}-tensorflow-${variant}-${tensorflowVersion}-napi8-${process.arch}`;
  const { folder, filled } = await onceInCache(name, async (into) => {
    const headers = [tfjs, join(tfjs, 'deps', 'include'), require('node-api-headers').include_dir].flatMap((path) => ['-isystem', path]);
    const common = ['-fPIC', '-std=c++17', ...headers];
    // These sources are not ours, so their warnings are off.
    const binding = ['-w', '-O2', '-DNAPI_VERSION=8', '-include', join(kernels, 'session-hooks.h')];
    const units = [
      ...['tfjs_backend', 'tfjs_binding'].map((unit) => ({ unit, source: join(tfjs, 'binding', `${unit}.cc`), flags: binding })),
      ...kernelUnits({ folder: kernels }),
    ];
    const log = (/** @type {string} */ unit) => join(cacheFolder(), `tfjs-binding-${unit}.log`);
    const object = (/** @type {string} */ unit) => join(into, `${unit}.o`);
    await eachAtOnce(units, ({ unit, source, flags }) =>
      run([compiler(), ...common, ...flags, '-c', source, '-o', object(unit)], { log: log(unit) }),
    );
    const objects = units.map(({ unit }) => object(unit));
    const libraries = ['-L', join(tfjs, 'deps', 'lib'), '-ltensorflow', '-ltensorflow_framework', '-Wl,-rpath,$ORIGIN/../../deps/lib'];
    await run([compiler(), '-shared', ...objects, ...libraries, '-o', join(into, 'tfjs_binding.node')], { log: log('link') });
    for (const object of objects) await rm(object);
  });
  const place = join(tfjs, 'lib', 'napi-v8');
  await mkdir(place, { recursive: true });
  // Renamed into place, so that a process that has the old one open keeps it.
  await copyFile(join(folder, 'tfjs_binding.node'), join(place, 'tfjs_binding.node.new'));
  await rename(join(place, 'tfjs_binding.node.new'), join(place, 'tfjs_binding.node'));
  return { built: filled };
}

/** A digest of the files' names and contents. */
async function hashOf(/** @type {string} */ folder) {
  const hash = createHash('sha256');
  for (const path of filesBelow(folder)) hash.update(`${path}\n`).update(await readFile(join(folder, path)));
  return hash.digest('hex').slice(0, 12);
}

async function linkFolder(/** @type {string} */ target, /** @type {string} */ path) {
  await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

/** Multiplies two matrices in a separate process, to show that the binding loads and computes. @returns TensorFlow's version and the device */
export async function verifyTensorflow(/** @type {string} */ root) {
  const program = `
    const { tf } = await import('./workers/engine/tensorflow/tensorflow.ts');
    const product = tf.matMul(tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5, 6], [7, 8]])).dataSync();
    if (product.join() !== '19,22,43,50') throw new Error('a matrix product is wrong: ' + product.join());
    console.log(tf.backend().binding.TF_Version, tf.backend().isUsingGpuDevice ? 'GPU' : 'CPU');`;
  const output = await run([process.execPath, '--import', 'tsx', '--input-type=module', '--eval', program], { cwd: root });
  return output.trim().split('\n').at(-1) ?? '';
}
