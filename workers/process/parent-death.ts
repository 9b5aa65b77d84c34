/** Ends a process with its parent, even while its event loop is busy and cannot see that the parent is gone. */
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';

const KILL_WITH_PARENT = ['--pdeathsig', 'KILL', '--'];
let command: string[] | undefined;

/**
 * A command that runs another one which the kernel kills when this process dies: `setpriv` of util-linux (Linux, prctl PR_SET_PDEATHSIG). It becomes
 * that program, so pid, environment and channels stay.
 * @returns nothing where there is no such command; `dieWithParent` is then the only guard
 */
export function killedWithParent(): readonly string[] {
  command ??= spawnSync('setpriv', [...KILL_WITH_PARENT, 'true'], { stdio: 'ignore' }).status === 0 ? ['setpriv', ...KILL_WITH_PARENT] : [];
  return command;
}

/** Plain JavaScript: a thread of its own needs no loader. The parent of an orphan is another process. */
const WATCHDOG = `
  const { workerData: { parent, graceMs, everyMs } } = require('node:worker_threads');
  let orphanedMs;
  setInterval(() => {
    if (process.ppid === parent) return;
    orphanedMs ??= performance.now();
    if (performance.now() - orphanedMs >= graceMs) process.kill(process.pid, 'SIGKILL');
  }, everyMs);
`;
const LOOK_EVERY_MS = 500;

/** For a process that a worker forks: only the worker ends it, also by its own end. Ctrl-C and service managers signal the whole process group. */
export function endOnlyWithParent(): void {
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.on('disconnect', () => process.exit(0));
  // Work that never yields would not let that event through.
  if (killedWithParent().length === 0) dieWithParent({ graceMs: 0 });
}

/** Starts a thread that kills this process when its parent has been gone for a while. @param options.graceMs time to end by itself */
export function dieWithParent({ graceMs }: { graceMs: number }): void {
  const workerData = { parent: process.ppid, graceMs, everyMs: LOOK_EVERY_MS };
  new Worker(WATCHDOG, { eval: true, execArgv: [], workerData }).unref();
}
