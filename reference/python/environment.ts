/**
 * The pinned Python environment with PyTorch, transformers and PEFT, which checks adapters and generates reference values.
 * It is made once in the user's cache folder and shared by every clone:
 *
 *     node --import tsx reference/python/environment.ts     prints the path of its python
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onceInCache } from '../../scripts/setup/cache.mjs';
import { GPU_PACKAGES, installGpuPlaceholders } from './gpu-placeholders.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
/** Increase it when a change to this program makes a different environment from the same requirements. */
const RECIPE = 1;
const OLDEST_MINOR = 11;
const CANDIDATES = ['python3', 'python3.13', 'python3.12', 'python3.11'];

interface EnvironmentOptions {
  /** A requirements file for more than PyTorch, transformers and PEFT. */
  extraRequirements?: string;
  /** Receives progress, line by line. */
  say?: (line: string) => void;
}

/** @returns the path of the environment's python */
export async function pythonEnvironment({ extraRequirements, say = (line) => console.error(line) }: EnvironmentOptions = {}): Promise<string> {
  const files = [REQUIREMENTS, ...(extraRequirements === undefined ? [] : [extraRequirements])];
  const requirements = files.map((file) => readFileSync(file, 'utf8')).join('');
  const key = createHash('sha256').update(`${RECIPE} ${process.arch}\n${requirements}`).digest('hex').slice(0, 12);
  const { folder, filled } = await onceInCache(`python-${key}`, async (into) => build(into, { requirements, files, say }));
  if (filled) say(`Python environment ready in ${folder}`);
  return join(folder, 'bin', 'python');
}

interface Build {
  requirements: string;
  files: string[];
  say(line: string): void;
}

function build(root: string, { requirements, files, say }: Build): void {
  const base = findPython();
  const python = join(root, 'bin', 'python');
  const started = Date.now();
  const makeEmpty = () => execFileSync(base, ['-m', 'venv', '--clear', root], { stdio: ['ignore', 'ignore', 'inherit'] });

  makeEmpty();
  if (process.platform === 'linux' && process.arch === 'x64') {
    say('Making a Python environment with PyTorch, transformers and PEFT (once; about 0.7 GB to download, 1.7 GB on disk, two minutes) …');
    const list = join(root, 'without-gpu.txt');
    writeFileSync(list, `${requirements}\n${GPU_PACKAGES.join('\n')}\n`);
    try {
      pip(python, ['--no-deps', '-r', list]);
      installGpuPlaceholders(python);
      importTorch(python);
      say(`… made in ${Math.round((Date.now() - started) / 1000)} s, without GPU libraries`);
      return;
    } catch (error) {
      say(`PyTorch without its GPU libraries does not work here (${firstLine(error)}); installing them too (about 2.5 GB to download) …`);
      makeEmpty();
    }
  } else {
    say('Making a Python environment with PyTorch, transformers and PEFT (once; up to 2.5 GB to download) …');
  }
  pip(
    python,
    files.flatMap((file) => ['-r', file]),
  );
  importTorch(python);
}

function pip(python: string, args: string[]): void {
  const run = spawnSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', ...args], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`pip install failed: ${lastLine(run.stderr) || run.error?.message || `exit status ${run.status}`}`);
}

function importTorch(python: string): void {
  const run = spawnSync(python, ['-c', 'import torch, peft; assert float((torch.ones(64, 64) @ torch.ones(64, 64)).sum()) == 64 ** 3'], {
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`import torch failed: ${lastLine(run.stderr) || run.signal}`);
}

function findPython(): string {
  const found = CANDIDATES.find((candidate) => {
    const run = spawnSync(candidate, ['-c', 'import sys, venv, ensurepip; print(*sys.version_info[:2])'], { encoding: 'utf8' });
    const [major, minor] = (run.stdout ?? '').trim().split(' ').map(Number);
    return run.status === 0 && major === 3 && (minor ?? 0) >= OLDEST_MINOR;
  });
  if (found !== undefined) return found;
  throw new Error(
    `No Python 3.${OLDEST_MINOR} or newer with venv was found on PATH. Install it (Debian, Ubuntu: apt-get install python3 python3-venv).`,
  );
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
const firstLine = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0];

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) console.log(await pythonEnvironment());
