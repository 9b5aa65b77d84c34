import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, truncateSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, connect } from '../journey/api.ts';
import { sameAnswer } from '../journey/dataset.ts';
import { makeHome, startService } from '../journey/service.ts';

const STEPS = 150;
const WEIGHTS = 'adapter_model.safetensors';

type Home = Awaited<ReturnType<typeof makeHome>>;
const cleanUps: (() => Promise<unknown>)[] = [];
let original: { home: Home; api: Api };
let backup: string;
let running: string;
let finished: string;
let unread: string;

/** Runs `npm run backup` or `npm run restore` as a user does. */
async function program(command: 'save' | 'restore', dir: string, env: Record<string, string>): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['scripts/run.mjs', 'scripts/backup.ts', command, dir], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode!, output: output + errors };
}

async function newHome(): Promise<Home> {
  const home = await makeHome();
  cleanUps.push(home.remove);
  return home;
}

async function serve(home: Home, env: Record<string, string> = {}): Promise<Api> {
  const service = await startService(home, { workers: 1 }, env);
  cleanUps.push(service.stop);
  return connect(service.url);
}

const job = (training_file: string, n_epochs: number) => ({
  model: 'tiny',
  training_file,
  seed: 3,
  metadata: { note: 'line\u2028separator' },
  tuning: { type: 'lora', r: 4 },
  hyperparameters: { n_epochs, batch_size: 4, save_steps: 5 },
});

beforeAll(async () => {
  const home = await newHome();
  original = { home, api: await serve(home) };
  const { api } = original;
  await api.model('tiny');
  const file = await api.upload(sameAnswer(24));
  unread = await api.upload(sameAnswer(3));
  finished = (await api.create({ ...job(file, 1), suffix: 'finished' })).id;
  await api.over(finished);
  running = (await api.create(job(file, STEPS / 6))).id;
  await api.checkpoint(running);
  backup = join(home.dataDir, '../backup');
  const { code, output } = await program('save', backup, { DATA_DIR: home.dataDir });
  expect(output).toMatch(/^Saved \d+ rows and \d+ objects/);
  expect(code).toBe(0);
  expect(await api.job(running)).toMatchObject({ status: 'running' });
});
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

describe('a backup made while a job runs', () => {
  it('and restored elsewhere › has everything, and its job resumes to the same adapter', async () => {
    const home = await newHome();
    const settings = { STORAGE_URL: `file://${join(home.dataDir, '../elsewhere')}` };
    const { code, output } = await program('restore', backup, { DATA_DIR: home.dataDir, ...settings });
    expect(output).toMatch(/^Restored \d+ rows/);
    expect(code).toBe(0);
    const api = await serve(home, settings);
    expect(await api.over(running)).toMatchObject({ status: 'succeeded', error: null });
    expect(await original.api.over(running)).toMatchObject({ status: 'succeeded' });
    for (const id of [running, finished])
      expect((await api.adapter(id)).get(WEIGHTS)!.equals((await original.api.adapter(id)).get(WEIGHTS)!)).toBe(true);
    expect((await api.content(unread)).toString()).toBe(sameAnswer(3));
    expect(await api.report(finished, 'receipt')).toEqual(await original.api.report(finished, 'receipt'));
    const { result_files } = await api.job(running);
    expect((await api.content(result_files[0]!)).toString().trim().split('\n')).toHaveLength(STEPS + 1);
    const messages = (await api.events(finished)).map(({ message }) => message);
    expect(messages).toEqual((await original.api.events(finished)).map(({ message }) => message));

    const again = await program('restore', backup, { DATA_DIR: home.dataDir, ...settings });
    expect(again).toMatchObject({ code: 1, output: expect.stringMatching(/already holds files, jobs or API keys/) });
  });

  it('with a damaged file › is refused before anything is written, with the file named', async () => {
    const home = await newHome();
    const copy = join(home.dataDir, '../damaged');
    await cp(backup, copy, { recursive: true });
    const damaged = join(copy, 'objects/files', readdirSync(join(copy, 'objects/files'))[0]!);
    truncateSync(damaged, 1);
    const { code, output } = await program('restore', copy, { DATA_DIR: home.dataDir });
    expect({ code, output }).toMatchObject({ code: 1, output: expect.stringContaining(`${damaged} has changed`) });
    expect((await serve(home).then((api) => api.jobs())).length).toBe(0);
  });

  it('into a folder that is not empty › is refused', async () => {
    const { code, output } = await program('save', backup, { DATA_DIR: original.home.dataDir });
    expect({ code, output }).toMatchObject({ code: 1, output: expect.stringMatching(/is not empty.*new folder/) });
  });
});
