/** The precision in which this machine trains fastest: measured once, then read from a file. And what it computes products in where bf16 is asked for. */
import { mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { writeFileWhole } from '../io/files.ts';
import { backend } from '../tensorflow/backend.ts';
import { instructionSet } from '../tensorflow/native.ts';
import { versions } from '../tensorflow/tensorflow.ts';
import { matmulRates } from './matmul-rate.ts';
import { vectorInstructions } from './vector-instructions.ts';

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

let measuredHere: Rates | undefined;
const measured = (): Rates => (measuredHere ??= matmulRates(PRODUCTS));

/**
 * @param file     keeps this machine's rates for later processes; without a file, each process measures
 * @param products what those of bf16 are computed in; nothing is measured if that is f32
 * @returns bf16 if its products are clearly faster
 */
export function fastestPrecision(file?: string, products = productsIn('bf16')): Precision {
  if (products === 'f32') return 'f32';
  return fasterOf(file === undefined ? measured() : ratesOf(thisMachine(), { file, measure: measured }));
}

/** @returns the precision to train in */
export const fasterOf = ({ f32, bf16 }: Rates): Precision => (bf16 > MIN_SPEEDUP * f32 ? 'bf16' : 'f32');

/**
 * What products are computed in where a precision is asked for: f32 instead of bf16 on x86 processors that multiply f32 faster. Without a matrix unit
 * (AMX) that is all but AMD's with AVX-512 BF16: Intel's take four times as long for the instruction as for one of f32, which multiplies half as many
 * numbers, and without the instruction oneDNN emulates it or ends the process.
 */
export function productsIn(precision: Precision): Precision {
  if (precision === 'f32' || process.arch !== 'x64' || backend.isUsingGpuDevice) return precision;
  return multipliesBf16(instructionSet(), cpus()[0]?.model ?? '') ? 'bf16' : 'f32';
}

export const precisionWarnings = (precision: Precision): string[] =>
  productsIn(precision) === precision
    ? []
    : [
        `precision is ${precision}, which this processor does not multiply faster than f32: the frozen model is held in ${precision}, and products are f32`,
      ];

/** @param set that the engine's kernels run with */
export const multipliesBf16 = (set: string, cpu: string): boolean => set === 'amx' || (set === 'avx512_bf16' && cpu.includes('AMD'));

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
