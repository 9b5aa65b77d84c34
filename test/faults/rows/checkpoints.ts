/** The newest checkpoint is damaged in the store, and its run dies. */
import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../../random.ts';
import { type Fault, plain, type Try } from '../fault.ts';
import { signal } from '../processes.ts';

function flipBit(file: string, random: Random): void {
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  const at = random.below(statSync(file).size);
  readSync(fd, byte, 0, 1, at);
  byte[0]! ^= 1 << random.below(8);
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
}

const damages: readonly (readonly [string, (files: readonly string[], random: Random) => void])[] = [
  ['newest checkpoint with a flipped bit', (files, random) => flipBit(random.pick(files.filter((file) => statSync(file).size > 0)), random)],
  [
    'newest checkpoint cut short',
    (files, random) => {
      const file = random.pick(files);
      truncateSync(file, random.below(Math.max(1, statSync(file).size)));
    },
  ],
  [
    'newest checkpoint missing',
    (files) => {
      for (const file of files) rmSync(file);
    },
  ],
  ['one file of the newest checkpoint missing', (files, random) => rmSync(random.pick(files))],
];

/** The files of the newest recorded checkpoint. */
async function newestCheckpoint({ truth, jobId, service }: Try): Promise<string[]> {
  const [newest] = await truth.query<{ folder: string }>('SELECT folder FROM checkpoints WHERE job_id = $1 ORDER BY step DESC LIMIT 1', [jobId]);
  if (newest === undefined) return [];
  return readdirSync(join(service.home.dataDir, 'objects', newest.folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The training process dies with its worker or without it. */
export const checkpointFaults: readonly Fault[] = damages.map(([name, damage]) =>
  plain(`${name}, then a kill`, async (one) => {
    const wait = 1 + one.random.below(3);
    for (let seen = 0; seen < wait; seen++) await one.untilCheckpoint();
    const training = one.service.trainingProcess(one.jobId);
    if (training === null) return;
    signal(training.pid, 'SIGSTOP'); // no newer checkpoint while this one is damaged
    const files = await newestCheckpoint(one);
    if (files.length > 0) damage(files, one.random);
    if (one.random.below(2) === 0) signal(training.parent, 'SIGKILL');
    signal(training.pid, 'SIGKILL');
  }),
);
