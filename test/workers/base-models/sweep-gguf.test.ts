import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ggufDirectories, ggufDirectory } from '../../../workers/base-models/gguf-files.ts';
import { type HeldDirectory, holdDirectory } from '../../../workers/base-models/held-directory.ts';
import { sweepGguf } from '../../../workers/base-models/sweep-gguf.ts';
import { openHashes } from '../../../workers/engine/io/base-model-files.ts';
import { writeGgufSource } from '../../../workers/engine/io/gguf-source.ts';
import { sha256 } from '../../sha256.ts';

const log = pino({ level: 'silent' });
const HOUR_MS = 3_600_000;
const WEEK_HOURS = 7 * 24;
const signal = new AbortController().signal;
const UNUSED: Partial<Parameters<typeof sweepGguf>[0]> = {};

let dataDir: string;
let modelsDir: string;
beforeEach(async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'graft-gguf-'));
  [dataDir, modelsDir] = [join(scratch, 'data'), join(scratch, 'models')];
  for (const dir of [dataDir, modelsDir]) await mkdir(dir);
});
afterEach(() => rm(join(dataDir, '..'), { recursive: true, force: true }));

interface Model {
  file: string;
  dir: string;
}

/** A GGUF file, and its directory of 1,000 bytes or more that was made some hours ago. */
async function model(name: string, agoHours: number, content = name): Promise<Model> {
  const file = join(modelsDir, `${name}.gguf`);
  await writeFile(file, content);
  const dir = ggufDirectory(dataDir, sha256(content));
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'model.safetensors'), Buffer.alloc(1_000));
  writeGgufSource(dir, { name: `${name}.gguf`, bytes: content.length, sha256: sha256(content) });
  for (const entry of await readdir(dir)) await setAge(join(dir, entry), agoHours);
  await setAge(dir, agoHours);
  return { file, dir };
}

async function setAge(path: string, hours: number): Promise<void> {
  const time = new Date(Date.now() - hours * HOUR_MS);
  await utimes(path, time, time);
}

/** A sweep of a worker with these models. */
const sweep = (files: string[], more = UNUSED) => sweepGguf({ dataDir, limitBytes: null, files, inUse: [], sha256Of: openHashes(), log, ...more });
const hold = (dir: string): Promise<HeldDirectory> => holdDirectory(dir, { signal, make: () => Promise.reject(new Error('it is there')) });
const left = (...models: Model[]) => models.map(({ dir }) => existsSync(dir));

describe('the sweep of directories that were made of GGUF files', () => {
  it('removes one whose file has been gone for a week, and nothing else of its folder stays', async () => {
    const [gone, gone6Days, here] = [await model('a', WEEK_HOURS + 1), await model('b', WEEK_HOURS - 24), await model('c', 10 * WEEK_HOURS)];
    await (await hold(gone.dir)).leave();
    await setAge(`${gone.dir}.used`, WEEK_HOURS + 1);
    await sweep([here.file]);
    expect(left(gone, gone6Days, here)).toEqual([false, true, true]);
    expect((await readdir(ggufDirectories(dataDir))).sort()).toEqual([gone6Days.dir, here.dir].map((dir) => dir.split('/').at(-1)).sort());
  });

  it('removes one whose file was replaced by another of the same size, a week later', async () => {
    const { file, dir } = await model('a', 48, 'before');
    await sweep([file]);
    expect(await stat(dir)).toMatchObject({ mtimeMs: expect.closeTo(Date.now(), -5) });
    await writeFile(file, 'after!');
    await setAge(dir, WEEK_HOURS + 1);
    await sweep([file]);
    expect(existsSync(dir)).toBe(false);
  });

  it('keeps one whose file was moved or renamed', async () => {
    const { file, dir } = await model('a', WEEK_HOURS + 1);
    const renamed = join(modelsDir, 'renamed.gguf');
    await rename(file, renamed);
    await sweep([renamed]);
    expect(existsSync(dir)).toBe(true);
  });

  it('keeps one that another worker on the same DATA_DIR has the file of', async () => {
    const [ours, theirs] = [await model('a', WEEK_HOURS - 1), await model('b', WEEK_HOURS - 1)];
    await sweep([theirs.file]);
    await setAge(ours.dir, WEEK_HOURS + 1); // two hours later
    await sweep([ours.file]);
    expect(left(ours, theirs)).toEqual([true, true]);
  });

  it('keeps one that was used within a week', async () => {
    const { dir } = await model('a', 10 * WEEK_HOURS);
    await (await hold(dir)).leave();
    await sweep([]);
    expect(existsSync(dir)).toBe(true);
  });

  it('keeps one that another process holds, however old it is and past the limit, until that process dies', async () => {
    const { dir } = await model('a', 10 * WEEK_HOURS);
    const program = `const { holdDirectory } = await import('./workers/base-models/held-directory.ts');
      await holdDirectory(process.argv[1], { signal: new AbortController().signal });
      console.log('held');
      setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      await setAge(`${dir}.used`, 10 * WEEK_HOURS);
      await sweep([], { limitBytes: 0 });
      expect(existsSync(dir)).toBe(true);
    } finally {
      holder.kill('SIGKILL');
    }
    await once(holder, 'exit');
    await sweep([]);
    expect(existsSync(dir)).toBe(false);
  });

  it('past the limit › removes those used least recently although their files are here, but none that an unfinished job trains on or somebody holds', async () => {
    const models = [await model('a', 50), await model('bb', 40), await model('ccc', 30), await model('dddd', 60)] as const;
    const files = models.map(({ file }) => file);
    await (await hold(models[3].dir)).leave();
    const held = await hold(models[2].dir);
    await sweep(files, { inUse: [models[0].file] });
    expect(left(...models)).toEqual([true, true, true, true]);
    await sweep(files, { inUse: [models[0].file], limitBytes: 3_999 });
    expect(left(...models)).toEqual([true, false, true, true]);
    await sweep(files, { inUse: [models[0].file], limitBytes: 0 });
    expect(left(...models)).toEqual([true, false, true, false]);
    await held.leave();
    await sweep(files, { limitBytes: 0 });
    expect(left(...models)).toEqual([false, false, false, false]);
  });

  it.each(['partial', 'removed'])('removes a %s directory that was left behind a week ago, and none of yesterday', async (kind) => {
    const [old, young] = [await model('a', WEEK_HOURS + 1), await model('b', 24)];
    for (const { dir } of [old, young]) await rename(dir, `${dir}.${kind}`);
    await sweep([old.file, young.file]);
    expect([old, young].map(({ dir }) => existsSync(`${dir}.${kind}`))).toEqual([false, true]);
  });

  it('of a DATA_DIR without any › does nothing', async () => {
    await sweep([]);
    expect(existsSync(ggufDirectories(dataDir))).toBe(false);
  });
});

describe('a directory that a sweep has removed', () => {
  it('is made again for whoever holds it next', async () => {
    const { file, dir } = await model('a', 24);
    await sweep([file], { limitBytes: 0 });
    let made = 0;
    const make = async () => {
      made += 1;
      await mkdir(dir);
    };
    const held = await Promise.all([1, 2, 3].map(() => holdDirectory(dir, { signal, make })));
    expect(made).toBe(1);
    await Promise.all(held.map(({ leave }) => leave()));
  });
});
