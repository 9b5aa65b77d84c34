/** Ends this process when one input takes too long or too much memory. A thread of its own, because a parser that hangs blocks the main one. */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** An input that waits for something that never comes uses no processor time. */
const WALL_LIMIT_MS = 60_000;
const MEMORY_LIMIT_BYTES = 3 * 2 ** 30;
const CHECK_EVERY_MS = 50;

export type Kill = 'hang' | 'memory';

/** Call `begin` before each input. */
export function startWatchdog(limitSeconds: number): { begin(index: number): void } {
  const current = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(PROGRAM, {
    eval: true,
    workerData: { current, limitSeconds, WALL_LIMIT_MS, MEMORY_LIMIT_BYTES, CHECK_EVERY_MS },
  });
  worker.unref();
  return {
    begin(index) {
      Atomics.store(current, 0, index);
      writeSync(INDEX_FD, Buffer.from(Int32Array.of(index).buffer), 0, 4, 0);
    },
  };
}

/** Holds the index of the current input after a crash, too. */
export const INDEX_FD = 3;

const PROGRAM = `
const { workerData: { current, limitSeconds, WALL_LIMIT_MS, MEMORY_LIMIT_BYTES, CHECK_EVERY_MS } } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const cpuSeconds = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
let seen = -1, cpu = 0, wall = 0;
const end = (why) => {
  writeSync(1, JSON.stringify({ kill: why, index: seen }) + '\\n');
  process.kill(process.pid, 'SIGKILL');
};
setInterval(() => {
  const index = Atomics.load(current, 0);
  if (index !== seen) { seen = index; cpu = cpuSeconds(); wall = Date.now(); }
  else if (index > 0 && (cpuSeconds() - cpu > limitSeconds || Date.now() - wall > WALL_LIMIT_MS)) end('hang');
  if (process.memoryUsage.rss() > MEMORY_LIMIT_BYTES) end('memory');
}, CHECK_EVERY_MS);
`;
