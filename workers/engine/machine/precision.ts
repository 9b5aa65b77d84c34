/** The precision in which this machine trains fastest: measured once, then read from a file. */
import { mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { writeFileWhole } from '../io/files.ts';
import { backend } from '../tensorflow/backend.ts';
import { versions } from '../tensorflow/tensorflow.ts';
import { matmulRates } from './matmul-rate.ts';

/** bf16 costs accuracy, and casts cost time, so its products must be clearly faster. On processors with bf16 instructions they are twice as fast. */
const MIN_SPEEDUP = 1.4;
const PRODUCTS = { size: 1024, runs: 5 };

/** Everything that the rates depend on. */
export interface Machine {
  cpu: string;
  cores: number;
  /** Vector and matrix instructions, sorted: virtual machines give very different processors the same name. null outside Linux. */
  instructions: string[] | null;
  gpu: boolean;
  tensorflow: string;
}

/** Rates of products, GFLOP/s. */
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
 * @param file keeps this machine's rates for later processes; without a file, each process measures
 * @returns bf16 if its products are clearly faster
 */
export function fastestPrecision(file?: string): Precision {
  const machine = thisMachine();
  return lacksBf16(machine) ? 'f32' : fasterOf(file === undefined ? measured() : ratesOf(machine, { file, measure: measured }));
}

/** @returns the precision to train in */
export const fasterOf = ({ f32, bf16 }: Rates): Precision => (bf16 > MIN_SPEEDUP * f32 ? 'bf16' : 'f32');

/** An x86 processor without AVX-512 has no instructions for bf16, and TensorFlow complains when it is tried. */
const lacksBf16 = ({ gpu, instructions }: Machine): boolean =>
  process.arch === 'x64' && !gpu && instructions !== null && !instructions.some((name) => name.startsWith('avx512'));

interface RatesFile {
  machine: Machine;
  gflops: Rates;
}

/** A machine's rates: from the file if it is this machine's, otherwise measured and written to it. */
export function ratesOf(machine: Machine, { file, measure }: { file: string; measure(): Rates }): Rates {
  const kept = read(file);
  if (kept !== null && isDeepStrictEqual(kept.machine, machine)) return kept.gflops;
  const gflops = measure();
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileWhole(file, `${JSON.stringify({ machine, gflops } satisfies RatesFile, null, 2)}\n`);
  } catch {
    // A full or read-only disk must not prevent training: the next process measures again.
  }
  return gflops;
}

/** @returns null if the file is missing or unreadable */
function read(file: string): RatesFile | null {
  try {
    const { machine, gflops } = JSON.parse(readFileSync(file, 'utf8')) as RatesFile;
    return gflops.f32 > 0 && gflops.bf16 > 0 ? { machine, gflops } : null;
  } catch {
    return null;
  }
}
