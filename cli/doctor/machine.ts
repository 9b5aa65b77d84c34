/** Whether this machine could train. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bytes } from '../terminal/amounts.ts';
import { bad, type Check, good, poor, unknown } from './check.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TFJS = 'node_modules/@tensorflow/tfjs-node-gpu';

/** Enough for a model of some hundred million parameters. */
const MEMORY_BYTES = 4e9;
/** Enough for TensorFlow, a model and its checkpoints. */
const DISK_BYTES = 10e9;
/** A program that takes longer hangs. */
const TIMEOUT_MS = 60_000;

const run = async (program: string, args: readonly string[], cwd = root): Promise<string | null> => {
  try {
    return (await promisify(execFile)(program, args, { cwd, timeout: TIMEOUT_MS })).stdout.trim();
  } catch {
    return null;
  }
};

export async function examineMachine(): Promise<Check[]> {
  const tensorflow = await examineTensorflow();
  return [await examineNode(), examineProcessor(), examineMemory(), await examineDisk(), ...tensorflow, await examineGpu()];
}

async function examineNode(): Promise<Check> {
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { engines: { node: string } };
  const oldest = engines.node.replace('>=', '');
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split('.').map(Number);
  const isNew = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  const found = `${process.version}, ${process.platform} ${process.arch}`;
  return isNew ? good('Node', found) : bad('Node', found, `Install Node ${oldest} or newer: https://nodejs.org/en/download`);
}

function examineProcessor(): Check {
  const [first] = cpus();
  return good('processor', `${cpus().length} × ${first?.model.trim() ?? 'unknown'}`);
}

function examineMemory(): Check {
  // 0 where there is no limit, or where it is not known; without a limit, some systems say more than there is.
  const limit = process.constrainedMemory() ?? 0;
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  const found = `${bytes(total)}${total < totalmem() ? `, of ${bytes(totalmem())} of the machine` : ''}`;
  if (total >= MEMORY_BYTES) return good('memory', found);
  return poor('memory', found, 'Small models alone can be trained: `graft jobs create --estimate` says what a job needs.');
}

async function examineDisk(): Promise<Check> {
  const wanted = resolve(process.env['DATA_DIR'] || 'data');
  let place = wanted;
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  const found = `${bytes(free)} free at ${wanted}`;
  return free >= DISK_BYTES
    ? good('disk', found)
    : poor('disk', found, 'Make room, or set DATA_DIR to a larger disk: models and checkpoints go there.');
}

/** Set-up puts these in place; the last one is there only after it was compiled. */
async function examineTensorflow(): Promise<Check[]> {
  const isSetUp = [`${TFJS}/deps/lib/libtensorflow_cc.so.2`, `${TFJS}/lib/napi-v8/tfjs_binding.node`].every((path) => existsSync(join(root, path)));
  if (!isSetUp) {
    const tools = await Promise.all(
      [
        ['python3', '-m', 'pip', '--version'],
        [process.env['CXX'] || 'g++', '--version'],
      ].map(async ([program = '', ...args]) => ((await run(program, args)) === null ? program : null)),
    );
    const missing = tools.filter((tool) => tool !== null);
    const first = missing.length === 0 ? '' : ` Before that, install ${missing.join(' and ')}${missing.includes('python3') ? ' with pip' : ''}.`;
    return [
      poor('TensorFlow', 'not set up, so this machine cannot train', `Run \`npm run setup\`; a machine that only sends jobs needs none.${first}`),
    ];
  }
  const product = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', MULTIPLY]);
  if (product === null) return [bad('TensorFlow', 'it does not load, or does not compute', 'Run `npm run setup`, which tells why.')];
  return [good('TensorFlow', product)];
}

/** In a process of its own: the library is large, and may end the process that loads it. */
const MULTIPLY = `
  const { tf, versions } = await import('./workers/engine/tensorflow/tensorflow.ts');
  const [value] = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync();
  if (value !== 11) throw new Error('a matrix product is wrong: ' + value);
  console.log(versions().tensorflow + ', multiplies on the ' + (tf.backend().isUsingGpuDevice ? 'GPU' : 'CPU'));`;

async function examineGpu(): Promise<Check> {
  const found = await run('nvidia-smi', ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader']);
  if (found !== null && found !== '') return good('GPU', found.split('\n').join('; '));
  if (existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl'))
    return bad(
      'GPU',
      'there is an NVIDIA driver, but nvidia-smi does not answer',
      'In a container, give it the GPUs (`--gpus all`); else look at `nvidia-smi`.',
    );
  return unknown('GPU', 'NVIDIA’s driver shows none; training runs on the processor');
}
