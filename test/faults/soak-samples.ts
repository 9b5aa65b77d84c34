/** What a service that runs for long must not use more and more of. */
import { readdirSync, readFileSync } from 'node:fs';
import { median } from '../../bench/measures.ts';
import type { Service } from './service.ts';
import type { Truth } from './truth.ts';

/** A training process lives for one job, so that it can leak neither tensors nor memory into the next. */
export const MEASURES = ['API memory', 'worker memory', 'API files', 'worker files', 'connections to Postgres', 'processes'] as const;
export type Measure = (typeof MEASURES)[number];
export type Sample = Record<Measure, number>;

/** The garbage collector decides when memory is given back. */
const MEMORY_GROWTH_ALLOWED = 1.25;
/** A pool opens connections when it needs them, and a log file or a kept-alive request may be open at one moment and not at another. */
const COUNT_GROWTH_ALLOWED = 8;

export async function takeSample(service: Service, truth: Truth): Promise<Sample> {
  const of = (role: 'api' | 'worker', pick: (pid: number) => number) =>
    service.processes(role).reduce((sum, { pid }) => sum + orZero(() => pick(pid)), 0);
  const [row] = await truth.query<{ count: number }>('SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database()');
  return {
    'API memory': of('api', memoryMb),
    'worker memory': of('worker', memoryMb),
    'API files': of('api', openFiles),
    'worker files': of('worker', openFiles),
    'connections to Postgres': row?.count ?? 0,
    processes: service.processes().filter(({ role }) => role !== 'postgres').length, // Postgres has one for each connection
  };
}

const memoryMb = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** 0 for a process that has ended meanwhile. */
function orZero(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}

/** @returns the medians of the first and of the last quarter */
export function quarters(samples: readonly Sample[]): { first: Sample; last: Sample } {
  const length = Math.max(1, Math.floor(samples.length / 4));
  return { first: medians(samples.slice(0, length)), last: medians(samples.slice(-length)) };
}

const medians = (samples: readonly Sample[]): Sample =>
  Object.fromEntries(MEASURES.map((measure) => [measure, median(samples.map((sample) => sample[measure]))])) as Sample;

const isMemory = (measure: Measure): boolean => measure.endsWith('memory');

export const grows = (measure: Measure, first: Sample, last: Sample): boolean =>
  isMemory(measure) ? last[measure] > first[measure] * MEMORY_GROWTH_ALLOWED : last[measure] > first[measure] + COUNT_GROWTH_ALLOWED;

export const shownMeasure = (measure: Measure, value: number): string => (isMemory(measure) ? `${value.toFixed(0)} MB` : String(value));
