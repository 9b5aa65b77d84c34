/** The precision in which this machine trains fastest: measured once and then read from a file. */
import { mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { writeFileWhole } from '../io/files.ts';
import { backend } from '../tensorflow/backend.ts';
import { versions } from '../tensorflow/tensorflow.ts';
import { matmulRates } from './matmul-rate.ts';

/** Casts cost too, and accuracy: bf16's products have to be clearly faster. Where the processor has them they are twice as fast. */
const WORTH_IT = 1.4;
const PRODUCTS = { size: 1024, runs: 5 };

/** What would change the answer. */
export interface Machine {
  cpu: string;
  cores: number;
  /** For vectors and matrices, sorted: virtual machines call very different processors by one name. null: not Linux. */
  instructions: string[] | null;
  gpu: boolean;
  tensorflow: string;
}

/** GFLOP/s of products. */
export type Rates = Record<Precision, number>;

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    instructions: vectorInstructions(),
    gpu: backend.isUsingGpuDevice,
    tensorflow: versions().tensorflow,
  };
}

function vectorInstructions(): string[] | null {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    return flags
      .split(' ')
      .filter((flag) => /avx|amx|asimd|sve|bf16/.test(flag))
      .sort();
  } catch {
    return null;
  }
}

let measuredHere: Rates | undefined;
const measured = (): Rates => (measuredHere ??= matmulRates(PRODUCTS));

/**
 * bf16 where its products are clearly faster.
 * @param file where this machine's rates are kept from process to process; without one each process measures
 */
export function fastestPrecision(file?: string): Precision {
  const machine = thisMachine();
  return hopeless(machine) ? 'f32' : fasterOf(file === undefined ? measured() : ratesOf(machine, { file, measure: measured }));
}

/** Which of them is worth training in. */
export const fasterOf = ({ f32, bf16 }: Rates): Precision => (bf16 > WORTH_IT * f32 ? 'bf16' : 'f32');

/** An x86 processor without AVX-512 has nothing for bf16, and TensorFlow complains when it is tried. */
const hopeless = ({ gpu, instructions }: Machine): boolean =>
  process.arch === 'x64' && !gpu && instructions !== null && !instructions.some((name) => name.startsWith('avx512'));

interface Kept {
  machine: Machine;
  gflops: Rates;
}

/** A machine's rates: from the file if they are this machine's, else measured and written there. */
export function ratesOf(machine: Machine, { file, measure }: { file: string; measure(): Rates }): Rates {
  const kept = read(file);
  if (kept !== null && isDeepStrictEqual(kept.machine, machine)) return kept.gflops;
  const gflops = measure();
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileWhole(file, `${JSON.stringify({ machine, gflops } satisfies Kept, null, 2)}\n`);
  } catch {
    // A disk that is full or read-only does not keep anyone from training: the next process measures again.
  }
  return gflops;
}

/** @returns null when there is no such file, or none that can be read */
function read(file: string): Kept | null {
  try {
    const { machine, gflops } = JSON.parse(readFileSync(file, 'utf8')) as Kept;
    return gflops.f32 > 0 && gflops.bf16 > 0 ? { machine, gflops } : null;
  } catch {
    return null;
  }
}
