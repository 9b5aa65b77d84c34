/** Tells whether a process of this machine still runs, also after its pid has been given to another one. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Start time of a process in clock ticks since boot, unique together with its pid; null when it does not run. */
export async function startTicks(pid: number): Promise<string | null> {
  return ticksIn(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
}

/** Whether a signal or a debugger has stopped a process; false where that cannot be seen. */
export function isStopped(pid: number): boolean {
  const [state] = fieldsOf(readOr('', () => readFileSync(`/proc/${pid}/stat`, 'utf8')));
  return state === 'T' || state === 't';
}

function ticksIn(stat: string): string | null {
  const fields = fieldsOf(stat);
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

/** From field 3, the state, on; field 22 is the start time (proc_pid_stat(5)). The name before them, in parentheses, may contain spaces. */
const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

/**
 * Names this process for others: `{where}.{pid}.{start}`. `where` stands for one boot of one machine and the namespace in which the pid counts, so
 * that nobody looks for a pid of another machine or container.
 */
export function processIdentity(): string {
  return `${whereabouts()}.${process.pid}.${ticksIn(readOr('', () => readFileSync('/proc/self/stat', 'utf8'))) ?? 0}`;
}

/** @returns true only if the process ran where this one runs and has ended; false if it runs, or if that cannot be seen from here */
export async function hasEnded(identity: string): Promise<boolean> {
  const [where, pid, started] = identity.split('.');
  if (where === undefined || where === NOWHERE || where !== whereabouts()) return false;
  return (await startTicks(Number(pid))) !== started;
}

/** Where there is no /proc, no process can be looked for. */
const NOWHERE = '0';

function whereabouts(): string {
  const boot = readOr('', () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
  const namespace = readOr('', () => readlinkSync('/proc/self/ns/pid'));
  if (boot === '' || namespace === '') return NOWHERE;
  return createHash('sha256').update(`${boot.trim()} ${namespace}`).digest('hex').slice(0, 12);
}

function readOr(fallback: string, read: () => string): string {
  try {
    return read();
  } catch {
    return fallback;
  }
}
