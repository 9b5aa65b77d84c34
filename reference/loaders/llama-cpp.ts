/** llama.cpp as npm and PyPI ship it: its converters, and the library that runs what they write. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { onceInCache } from '../../scripts/setup/cache.mjs';
import { unpackGpt2 } from '../real-tokenizers/directories.ts';
import type { EvaluatedCase } from './evaluate.ts';

const exec = promisify(execFile);

/** Holds llama.cpp's library, and an interface to it for Node. */
const LIBRARY = '3.22.1';
/** Its source archive holds llama.cpp's converters, with the `gguf` that they need: PyPI's release of the same number lacks a class of theirs. */
const CONVERTERS = 'llama-cpp-python==0.3.36';
/** The converters look for a SentencePiece model before they read another tokenizer. */
const SENTENCEPIECE = 'sentencepiece==0.2.3';
/** Increase it when a change to this program makes other files from the same packages. */
const RECIPE = 1;

/** npm's packages with the library, by Node's names of platform and processor. */
const BINARIES: Record<string, string> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-armv7l',
  'linux-riscv64': 'linux-riscv64',
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
};
export const PLATFORM = `${process.platform}-${process.arch}`;
export const hasBinary = (): boolean => PLATFORM in BINARIES;

export class LlamaCpp {
  readonly #python: string;
  readonly #folder: string;

  private constructor(python: string, folder: string) {
    this.#python = python;
    this.#folder = folder;
  }

  /**
   * Downloads the packages once, 100 MB, into the user's cache.
   * @param python a python that has PyTorch and transformers
   */
  static async open(python: string): Promise<LlamaCpp> {
    const version = CONVERTERS.split('==')[1];
    const { folder } = await onceInCache(`llama-cpp-${RECIPE}-${LIBRARY}-${version}-${PLATFORM}`, async (into) => {
      console.error('Downloading llama.cpp and its converters (once; 100 MB) …');
      await Promise.all([installLibrary(into), unpackConverters(python, into), unpackGpt2(join(into, 'gpt2'))]);
    });
    return new LlamaCpp(python, folder);
  }

  /** The folder with GPT-2's vocab.json and merges.txt. */
  get gpt2Dir(): string {
    return join(this.#folder, 'gpt2');
  }

  /** The folder with the converters. */
  get convertersDir(): string {
    return join(this.#folder, 'converters');
  }

  /** URL of node-llama-cpp. */
  get library(): string {
    return pathToFileURL(join(this.#folder, 'library/node_modules/node-llama-cpp/dist/index.js')).href;
  }

  /** The environment in which python runs the converters. */
  get converterEnv(): NodeJS.ProcessEnv {
    return { ...process.env, PYTHONPATH: join(this.#folder, 'python'), HF_HUB_OFFLINE: '1' };
  }

  /** Writes a GGUF file of a model's directory, in f32. */
  convertModel(modelDir: string, file: string): Promise<void> {
    return this.#convert('convert_hf_to_gguf.py', modelDir, '--outtype', 'f32', '--outfile', file);
  }

  /** Writes a GGUF file of an adapter's directory, in f32. */
  convertAdapter(adapterDir: string, { baseModelDir, file }: { baseModelDir: string; file: string }): Promise<void> {
    return this.#convert('convert_lora_to_gguf.py', adapterDir, '--base', baseModelDir, '--outtype', 'f32', '--outfile', file);
  }

  async #convert(program: string, ...args: string[]): Promise<void> {
    await exec(this.#python, [join(this.convertersDir, program), ...args], { env: this.converterEnv, maxBuffer: 64 * 1024 * 1024 });
  }

  /** Runs models in a process of its own, so that the library does not meet TensorFlow. */
  async evaluate(scratch: string, cases: readonly EvaluatedCase[]): Promise<void> {
    const request = join(scratch, 'llama-cpp.json');
    await writeFile(request, JSON.stringify(cases));
    await exec(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'evaluate.ts'), this.library, request]);
  }
}

/** Without install scripts, which would download and build llama.cpp, and without the binaries of other platforms and of GPUs. */
async function installLibrary(into: string): Promise<void> {
  const cwd = join(into, 'library');
  await mkdir(cwd);
  await writeFile(join(cwd, 'package.json'), '{}');
  const packages = [`node-llama-cpp@${LIBRARY}`, `@node-llama-cpp/${BINARIES[PLATFORM]}@${LIBRARY}`];
  await exec('npm', ['install', '--silent', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', ...packages], { cwd });
}

async function unpackConverters(python: string, into: string): Promise<void> {
  const pip = (...args: string[]) => exec(python, ['-m', 'pip', ...args, '--quiet', '--disable-pip-version-check', '--no-input', '--no-deps']);
  const [name = ''] = CONVERTERS.split('==');
  const archives = join(into, 'archives');
  await pip('download', '--no-cache-dir', '--no-binary', name, '--dest', archives, CONVERTERS);
  const [archive = ''] = await readdir(archives);
  const source = `${archive.replace(/\.tar\.gz$/, '')}/vendor/llama.cpp`;
  const wanted = ['convert_hf_to_gguf.py', 'convert_lora_to_gguf.py', 'conversion', 'gguf-py'].map((path) => `${source}/${path}`);
  const converters = join(into, 'converters');
  await mkdir(converters);
  await exec('tar', ['-xzf', join(archives, archive), '-C', converters, '--strip-components=3', ...wanted]);
  await rm(archives, { recursive: true });
  await pip('install', '--target', join(into, 'python'), SENTENCEPIECE);
}
