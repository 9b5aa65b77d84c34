/** How the engine's own kernels (workers/engine/kernels) are compiled: every .cc file, so that a new kernel needs no entry here. */
import { basename, dirname, join } from 'node:path';
import { filesBelow } from './files.mjs';

/** The sub-folder whose sources are compiled once for each instruction set. All others are compiled once. */
const PER_SET = 'per-instruction-set';

const AVX512 = ['-march=x86-64-v4', '-mprefer-vector-width=512'];
const AVX512_BF16 = [...AVX512, '-mavx512bf16'];
/** Each set's name, which is also its C++ namespace, and its compiler flags. At run time the kernels use the best set that the processor has. */
const INSTRUCTION_SETS = /** @type {Partial<Record<string, Record<string, string[]>>>} */ ({
  x64: { baseline: [], avx2: ['-march=x86-64-v3'], avx512: AVX512, avx512_bf16: AVX512_BF16, amx: [...AVX512_BF16, '-mamx-tile', '-mamx-bf16'] },
});

/**
 * @param {{folder: string, arch?: string}} kernels
 * @returns {{unit: string, source: string, flags: string[]}[]} one entry for each compilation; `unit` is its name
 */
export function kernelUnits({ folder, arch = process.arch }) {
  const sets = Object.entries(INSTRUCTION_SETS[arch] ?? { baseline: [] });
  const vectorised = ['-O3', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'];
  return filesBelow(folder)
    .filter((path) => path.endsWith('.cc'))
    .flatMap((path) => {
      const source = join(folder, path);
      const unit = basename(path, '.cc');
      // Includes are relative to the kernels' folder.
      const common = ['-Wall', '-Wextra', '-Werror', '-I', folder];
      if (dirname(path) !== PER_SET) return [{ unit, source, flags: [...common, '-O2'] }];
      return sets.map(([set, own]) => ({
        unit: `${unit}-${set}`,
        source,
        flags: [...common, ...vectorised, ...own, `-DGRAFT_INSTRUCTIONS=${set}`],
      }));
    });
}
