/** The two servers that bench:api compares, on the same database, each in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import { environmentWith, readConfig } from '../../src/config.ts';
import { DEFAULT_PROJECT, newJobId } from '../../src/ids.ts';
import { ANNOUNCE_EVERY_MS } from '../../src/models/store.ts';
import { openServices, type Services } from '../../src/services.ts';

export const KEY = 'the-key-of-the-benchmark';
/** As many requests at once as a few clients make. */
export const CONNECTIONS = 8;

export interface Side {
  address: string;
  pool: Pool;
  /** Memory that the process has now, in MB. */
  memoryMb(): number;
}

export interface Sides {
  services: Services;
  service: Side;
  floor: Side;
  close(): Promise<void>;
}

export async function startSides(): Promise<Sides> {
  const dataDir = mkdtempSync(join(tmpdir(), 'graft-bench-api-'));
  const services = await openServices(readConfig({ DATA_DIR: dataDir, WORKERS: '0', LOG_LEVEL: 'silent' }));
  const uploads = join(dataDir, 'floor');
  mkdirSync(uploads);
  const identity = { id: 'worker-bench', hostname: 'here', device: 'CPU' };
  const tiny = { id: 'graft-tiny', family: 'llama', parameters: 4_000_000, sizeBytes: 8_000_000, revision: null };
  const announce = () => services.models.announce(identity, [tiny]);
  await announce();
  const announcing = setInterval(() => void announce(), ANNOUNCE_EVERY_MS);

  const root = join(import.meta.dirname, '../..');
  const children: ChildProcess[] = [];
  async function start(program: string, settings: Record<string, string>, addressOf: (line: string) => string | undefined): Promise<Side> {
    const env = environmentWith({ ...settings, NODE_ENV: 'production' });
    const child = spawn(process.execPath, ['--import', 'tsx', join(root, program)], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const lines = createInterface({ input: child.stdout! });
    const address = await new Promise<string>((resolve, reject) => {
      lines.on('line', (line) => {
        const found = addressOf(line);
        if (found !== undefined) resolve(found);
      });
      child.once('exit', () => reject(new Error(`${program} has ended`)));
    });
    return {
      address,
      pool: new Pool(address, { connections: CONNECTIONS, headersTimeout: 60_000, bodyTimeout: 60_000 }),
      memoryMb: () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024,
    };
  }
  const common = { DATA_DIR: dataDir, WORKERS: '0', PORT: '0', ROOT_API_KEY: KEY, LOG_LEVEL: 'info' };
  const service = await start('src/server.ts', common, (line) => /"address":"([^"]*)\/v1"/.exec(line)?.[1]);
  const floor = await start('bench/api/floor.ts', { DATABASE_URL: services.urls.database, UPLOADS: uploads }, (line) => line);

  return {
    services,
    service,
    floor,
    async close() {
      clearInterval(announcing);
      for (const { pool } of [service, floor]) await pool.destroy();
      for (const child of children) child.kill();
      await Promise.all(children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null)));
      await services.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** @returns the id of a new job, which nobody takes */
export async function makeJob({ jobs }: Pick<Services, 'jobs'>): Promise<string> {
  const id = newJobId();
  const fields = { model: 'graft-tiny', trainingFileId: 'file-bench', validationFileId: null, suffix: null, seed: 7, metadata: null };
  await jobs.create(DEFAULT_PROJECT, { ...fields, id, hyperparameters: {}, tuning: { type: 'lora', r: 8 } as never });
  return id;
}

/** Jobs that have ended, as a service has after some years: a tenth of them of each of ten teams. @returns the id of one in the middle */
export async function seedJobs({ database, jobs }: Services, count: number): Promise<string> {
  const template = await makeJob({ jobs });
  await database.$executeRaw`
    INSERT INTO jobs (id, owner, status, model, training_file_id, seed, method, hyperparameters, resolved, tuning, metadata, trained_tokens, created_at, finished_at)
    SELECT 'ftjob-' || lpad(n::text, 24, '0'), owner, 'succeeded', model, training_file_id, seed, method, hyperparameters,
      '{"n_epochs":3,"batch_size":4,"learning_rate_multiplier":1,"learning_rate":0.0001}', tuning,
      CASE WHEN n % 2 = 0 THEN NULL ELSE jsonb_build_object('team', 'team-' || n % 10, 'run', n::text) END,
      1000 + n, created_at - n * interval '1 minute', created_at - n * interval '1 minute'
    FROM jobs, generate_series(1, ${count}::int) AS n WHERE id = ${template}`;
  await database.$executeRawUnsafe('VACUUM ANALYZE jobs');
  return `ftjob-${String(Math.floor(count / 2)).padStart(24, '0')}`;
}
