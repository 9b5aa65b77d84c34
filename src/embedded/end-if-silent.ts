import type { ChildProcess } from 'node:child_process';

/** How often a child tells its parent that its event loop runs. */
export const ALIVE_EVERY_MS = 5_000;
/** A child that says nothing for this long is stopped or hangs. Long: the machine may be short of memory, and a false alarm costs steps. */
export const SILENT_MS = 90_000;

/** In the child: says that it is alive, as long as its event loop runs. */
export function sayAlive(everyMs = ALIVE_EVERY_MS): void {
  setInterval(() => process.send?.('alive', undefined, undefined, () => {}), everyMs).unref();
}

/** In the parent: kills a child that says nothing for too long. @param onSilent called just before */
export function endIfSilent(child: ChildProcess, onSilent: () => void, silentMs = SILENT_MS): void {
  // Counted, not measured: time in which this process was stopped as well does not count.
  const ticks = 30;
  let silentTicks = 0;
  child.on('message', () => {
    silentTicks = 0;
  });
  const timer = setInterval(() => {
    silentTicks++;
    if (silentTicks < ticks) return;
    clearInterval(timer);
    onSilent();
    child.kill('SIGKILL');
  }, silentMs / ticks);
  timer.unref();
  child.once('exit', () => clearInterval(timer));
}
