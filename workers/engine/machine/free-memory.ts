import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { processMemory } from './process-memory.ts';

/** @returns how many bytes of the main memory this process could still take, of the machine's, its container's and what it may allocate itself */
export function freeMemory(): number {
  const ofContainer = process.constrainedMemory(); // 0, or more than there is, without a limit
  const limits = [available(), ofContainer === 0 ? Number.POSITIVE_INFINITY : ofContainer - processMemory().now, allocatable()];
  return Math.max(0, Math.min(...limits));
}

/** With what the system would drop from its caches. */
function available(): number {
  const kilobytes = fieldOf('/proc/meminfo', /^MemAvailable:\s+(\d+) kB$/m);
  return kilobytes === null ? freemem() : 1024 * kilobytes;
}

/** Of the limit that TRAINING_MEMORY_LIMIT sets. */
function allocatable(): number {
  const most = fieldOf('/proc/self/limits', /^Max data size\s+(\d+)/m);
  const allocated = fieldOf('/proc/self/status', /^VmData:\s+(\d+) kB$/m);
  return most === null || allocated === null ? Number.POSITIVE_INFINITY : most - 1024 * allocated;
}

/** @returns null without such a file or number */
function fieldOf(path: string, pattern: RegExp): number | null {
  try {
    const found = pattern.exec(readFileSync(path, 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null; // not on Linux
  }
}
