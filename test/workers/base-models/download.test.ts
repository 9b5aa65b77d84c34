import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { type Hub, openHub } from '../../../src/hub/hub.ts';
import { downloadModel } from '../../../workers/base-models/download.ts';
import { newestSnapshots, snapshotDir } from '../../../workers/base-models/snapshots.ts';
import { filesOf, type HubServer, startHub } from '../../hub/hub-server.ts';
import { COMMITS, repository } from '../../hub/repository.ts';
import { until } from '../../journey/service.ts';

const TINY = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const WEIGHTS = 'model.safetensors';
const model = { name: 'org/tiny', commit: COMMITS[0] };

let server: HubServer;
let files: Map<string, Buffer>;
let hub: Hub;
let dataDir: string;
beforeAll(async () => {
  server = await startHub();
  files = await filesOf(TINY);
  server.repositories.set(model.name, repository(files));
  hub = openHub(readConfig({ HF_ENDPOINT: server.url, ALLOW_MODEL_DOWNLOAD: 'true' }).hub);
});
afterAll(() => server?.close());
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'graft-hub-'));
  server.served.length = 0;
  server.trouble = null;
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const download = async (signal = new AbortController().signal, more = {}) => {
  const { dir, leave } = await downloadModel(model, { hub, dataDir, signal, ...more });
  await leave();
  return dir;
};
const partial = () => join(`${snapshotDir(dataDir, model)}.partial`, WEIGHTS);
const servedOf = (name: string) => server.served.filter(({ file }) => file === name);

describe('downloadModel', () => {
  it('downloads every file a job needs, byte for byte, into a directory that appears only when it is complete', async () => {
    const dir = await download();
    expect(dir).toBe(snapshotDir(dataDir, model));
    for (const name of await readdir(dir)) expect(await readFile(join(dir, name)), name).toEqual(files.get(name));
    expect(await readdir(dir)).toEqual(expect.arrayContaining(['config.json', 'tokenizer.json', WEIGHTS]));
    expect((await readdir(dirname(dir))).sort()).toEqual(['', '.held', '.lock', '.used'].map((kind) => `${model.commit}${kind}`));
    expect(await newestSnapshots(dataDir)).toMatchObject([{ ...model, dir }]);
  });

  it('downloads further chat templates into their folder', async () => {
    const name = 'additional_chat_templates/tool_use.jinja';
    const templated = { ...model, name: 'org/templates' };
    server.repositories.set(templated.name, repository(new Map([...files, [name, Buffer.from('tools')]])));
    const { dir, leave } = await downloadModel(templated, { hub, dataDir, signal: new AbortController().signal });
    await leave();
    expect(await readFile(join(dir, name), 'utf8')).toBe('tools');
  });

  it('of a model that is already on this machine › asks the hub nothing', async () => {
    await download();
    server.served.length = 0;
    await download();
    expect(server.served).toEqual([]);
  });

  it('three times at once › downloads the files once', async () => {
    const dirs = await Promise.all([download(), download(), download()]);
    expect(new Set(dirs).size).toBe(1);
    expect(servedOf(WEIGHTS)).toHaveLength(1);
  });

  it('resumes at the byte where the connection was cut', async () => {
    let cuts = 2;
    server.trouble = async (file, sent) => {
      if (file !== WEIGHTS || sent < 32 * 1024 || cuts === 0) return undefined;
      const { from } = servedOf(WEIGHTS).at(-1)!;
      await until('bytes of this connection on the disk', async () => (await stat(partial())).size > from);
      cuts -= 1;
      return 'cut';
    };
    await download();
    const [first, second, ...more] = servedOf(WEIGHTS);
    expect(first!.from).toBe(0);
    expect(second!.from).toBeGreaterThan(0);
    const last = more.at(-1)!; // the third, unless the machine itself lost a connection
    expect(last.from).toBeGreaterThan(second!.from);
    expect(last.from + last.bytes).toBe(files.get(WEIGHTS)!.length);
  });

  it('after an abort › resumes from the bytes that were received', async () => {
    const aborted = new AbortController();
    server.trouble = async (file, sent) => {
      if (file !== WEIGHTS || sent < 64 * 1024) return undefined;
      await until('the first bytes on the disk', async () => (await stat(partial())).size > 0);
      aborted.abort(new Error('cancelled'));
      return undefined;
    };
    await expect(download(aborted.signal)).rejects.toThrow('cancelled');
    expect(await newestSnapshots(dataDir)).toEqual([]);
    server.trouble = null;
    server.served.length = 0;
    let had = 0;
    await download(undefined, {
      onStart: async (_: unknown, haveBytes: number) => {
        had = haveBytes;
      },
    });
    expect(had).toBeGreaterThan(0);
    expect(servedOf(WEIGHTS)[0]!.from).toBeGreaterThan(0);
    expect(await readFile(join(snapshotDir(dataDir, model), WEIGHTS))).toEqual(files.get(WEIGHTS));
  });

  it.each([WEIGHTS, 'config.json'])('downloads a damaged %s again from its beginning', async (name) => {
    // config.json is read once before, to describe the model.
    const damaged = name === 'config.json' ? 2 : 1;
    server.trouble = (file) => (file === name && servedOf(name).length === damaged ? 'corrupt' : undefined);
    await download();
    expect(servedOf(name).map(({ from }) => from)).toEqual(Array.from({ length: damaged + 1 }, () => 0));
    expect(await readFile(join(snapshotDir(dataDir, model), name))).toEqual(files.get(name));
  });

  it('gives up on a file that is damaged twice, and names it', async () => {
    server.trouble = (file) => (file === WEIGHTS ? 'corrupt' : undefined);
    await expect(download()).rejects.toMatchObject({ code: 'corrupt_download', message: expect.stringMatching(/model\.safetensors of "org\/tiny"/) });
    expect(await newestSnapshots(dataDir)).toEqual([]);
  });

  it('gives up when no try brings a new byte', async () => {
    server.trouble = (file) => (file === WEIGHTS ? 'cut' : undefined);
    await expect(download()).rejects.toMatchObject({ code: 'download_failed' });
  }, 30_000);

  it('waits out a short outage of the hub', async () => {
    server.failing = 2;
    await download();
    expect(server.failing).toBe(0);
    expect(await newestSnapshots(dataDir)).toHaveLength(1);
  });

  it('takes over from a download whose process died', async () => {
    const lock = `${snapshotDir(dataDir, model)}.lock`;
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, '');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(lock, longAgo, longAgo);
    await download();
    expect(await newestSnapshots(dataDir)).toHaveLength(1);
  });
});
