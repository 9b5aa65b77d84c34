/** The folders of a service under test. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_MODEL } from './jobs.ts';

const GRAFT_TINY = join(import.meta.dirname, '../../models/graft-tiny');

export interface Home {
  dataDir: string;
  modelsDir: string;
  /** Also marks the service's processes: see processes.ts. */
  tmpDir: string;
  /** Mounts a file system in memory there. @throws Error without the right to mount */
  mountTmpfs(dir: string, sizeMb: number): void;
  remove(): void;
}

/** A home with one base model, a copy of graft-tiny. */
export function makeHome(): Home {
  const root = mkdtempSync(join(tmpdir(), 'graft-faults-'));
  const home = { dataDir: join(root, 'data'), modelsDir: join(root, 'models'), tmpDir: join(root, 'tmp') };
  for (const dir of Object.values(home)) mkdirSync(dir);
  cpSync(GRAFT_TINY, join(home.modelsDir, BASE_MODEL), { recursive: true });
  const mounted: string[] = [];
  return {
    ...home,
    mountTmpfs(dir, sizeMb) {
      mkdirSync(dir, { recursive: true });
      command('mount', '-t', 'tmpfs', '-o', `size=${sizeMb}m,mode=755`, 'graft-faults', dir);
      mounted.push(dir);
    },
    remove() {
      for (const dir of mounted.reverse()) command('umount', '-l', dir);
      if (existsSync(root)) rmSync(root, { recursive: true, force: true });
    },
  };
}

/** @throws Error with what the program said */
export function command(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${error?.message ?? stderr.trim()}`);
}
