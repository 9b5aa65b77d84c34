/**
 * Finds the processes of one service under test among all of the machine. Programs of ours inherit its TMPDIR, which nobody else has; Postgres and
 * Valkey write their titles over their environment, but work in its DATA_DIR.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export type Role = 'api' | 'worker' | 'training' | 'postgres' | 'valkey' | 'other';

export interface FoundProcess {
  pid: number;
  parent: number;
  role: Role;
}

const PROGRAMS: readonly (readonly [RegExp, Role])[] = [
  [/src\/server\.ts/, 'api'],
  [/workers\/main\.m?[tj]s/, 'worker'],
  [/workers\/process\/program\.m?[tj]s/, 'training'],
  [/valkey-server/, 'valkey'],
  [/postgres/, 'postgres'],
];

/** @param home the TMPDIR and DATA_DIR that the service was started with */
export function processesOf({ tmpDir, dataDir }: { tmpDir: string; dataDir: string }): FoundProcess[] {
  const marker = `TMPDIR=${tmpDir}`;
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const isServer = `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dataDir}/`);
      if (!isServer && !readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marker)) return [];
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      // The name in parentheses may contain spaces; after it come the state and the parent (proc_pid_stat(5)).
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' || state === 'X') return [];
      return [{ pid, parent: Number(parent), role: PROGRAMS.find(([program]) => program.test(command))?.[1] ?? 'other' }];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

/** Sends a signal. @returns whether the process was still there */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until none of them is left. @returns those that are after `timeoutMs` */
export async function untilGone(find: () => FoundProcess[], timeoutMs: number): Promise<FoundProcess[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = find();
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(100);
  }
}
