import { readFileSync } from 'node:fs';

/** The most that this process has held of the main memory since it started, bytes. */
export function peakMemoryBytes(): number {
  try {
    return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
  } catch {
    // Not on Linux, where this may be the peak of the process that started this one.
    return 1024 * process.resourceUsage().maxRSS;
  }
}
