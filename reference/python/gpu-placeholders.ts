/**
 * PyPI has no CPU build of PyTorch for Linux: its wheel is linked against 2 GB of NVIDIA libraries, which the loader requires but which are never
 * called on a CPU. This replaces each of them with a small library that defines the functions that PyTorch refers to; each function traps.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Small packages that are called while PyTorch is loaded, so they are installed as they are, in the versions that torch 2.11.0 requires. */
export const GPU_PACKAGES = ['nvidia-cuda-runtime==13.0.96', 'nvidia-cuda-cupti==13.0.85'];

/** File name → the symbol version of its functions, as shown by `nm -D`; null if they have none. */
const PLACEHOLDERS: Record<string, { version: string | null; functions: RegExp }> = {
  'libcublas.so.13': { version: 'libcublas.so.13', functions: /^cublas/ },
  'libcublasLt.so.13': { version: 'libcublasLt.so.13', functions: /^cublasLt/ },
  'libcudnn.so.9': { version: 'libcudnn.so.9', functions: /^cudnn/ },
  'libcufft.so.12': { version: 'libcufft.so.12', functions: /^cufft/ },
  'libcusparse.so.12': { version: 'libcusparse.so.12', functions: /^cusparse/ },
  'libcurand.so.10': { version: 'libcurand.so.10', functions: /^curand/ },
  'libnvshmem_host.so.3': { version: 'NVSHMEM', functions: /^nvshmem/ },
  'libcufile.so.0': { version: null, functions: /^cuFile/ },
  'libcusparseLt.so.0': { version: null, functions: /^cusparseLt/ },
  'libnccl.so.2': { version: null, functions: /^(nccl|nvshmem_)/ },
};
const USERS = ['libtorch_cuda.so', 'libtorch_python.so', 'libtorch_nvshmem.so'];

/** Needs `cc` and `nm`. @param python path of the python of an environment with torch installed */
export function installGpuPlaceholders(python: string): void {
  const find = 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])';
  const libraries = join(execFileSync(python, ['-c', find], { encoding: 'utf8' }).trim(), 'lib');
  const wanted = undefinedFunctions(USERS.map((file) => join(libraries, file)));
  const scratch = mkdtempSync(join(tmpdir(), 'graft-placeholders-'));
  try {
    for (const [file, { version, functions }] of Object.entries(PLACEHOLDERS)) {
      const names = wanted.filter((symbol) => symbol.version === version && functions.test(symbol.name)).map(({ name }) => name);
      const source = join(scratch, `${file}.c`);
      writeFileSync(source, [...names.map((name) => `void ${name}(void) { __builtin_trap(); }`), 'int graft_placeholder;', ''].join('\n'));
      const args = ['-shared', '-fPIC', '-w', '-fno-builtin', `-Wl,-soname,${file}`, '-o', join(libraries, file), source];
      if (version !== null) {
        const script = join(scratch, `${file}.map`);
        writeFileSync(script, `${version} { global: *; };\n`);
        args.push(`-Wl,--version-script=${script}`);
      }
      execFileSync('cc', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Lines of `nm -D --undefined-only` are `U name`, `U name@version` or, with a weak reference, `w name`. */
function undefinedFunctions(files: string[]): { name: string; version: string | null }[] {
  const listed = execFileSync('nm', ['-D', '--undefined-only', ...files], { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  const symbols = new Map<string, { name: string; version: string | null }>();
  for (const [, symbol] of listed.matchAll(/^\s+U (\S+)$/gm)) {
    const [name = '', version = null] = symbol!.split(/@+/);
    symbols.set(symbol!, { name, version });
  }
  return [...symbols.values()];
}
