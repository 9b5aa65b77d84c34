import { cp, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { cachedSnapshot } from '../../../workers/base-models/hub-cache.ts';
import { findBaseModels } from '../../../workers/base-models/on-disk.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { exportModelGguf } from '../../../workers/engine/gguf/export-gguf.ts';
import { openFileHashes } from '../../../workers/engine/io/base-model-files.ts';
import { readModelConfig } from '../../../workers/engine/model/weights.ts';

const TINY = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const COMMITS = ['a'.repeat(40), 'b'.repeat(40)] as const;

let home: string;
let models: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'graft-models-'));
  models = join(home, 'models');
  await mkdir(models);
});
afterEach(() => rm(home, { recursive: true, force: true }));

const find = (dir = models) => findBaseModels({ modelsDirs: [dir], dataDir: join(home, 'data') });
const copyTo = async (...path: string[]) => {
  const dir = join(models, ...path);
  await mkdir(dirname(dir), { recursive: true });
  await cp(TINY, dir, { recursive: true });
  return dir;
};

/** Lays a model out as huggingface_hub's cache does: blobs by hash, snapshots of links to them, branches in refs. */
async function cache(root: string, repo: string, commits: readonly string[], main?: string) {
  const folder = join(root, `models--${repo.replace('/', '--')}`);
  await mkdir(join(folder, 'blobs'), { recursive: true });
  for (const commit of commits) {
    await mkdir(join(folder, 'snapshots', commit), { recursive: true });
    for (const name of await readdir(TINY)) {
      const blob = join('blobs', Buffer.from(name).toString('hex'));
      await cp(join(TINY, name), join(folder, blob));
      await symlink(join('..', '..', blob), join(folder, 'snapshots', commit, name));
    }
  }
  if (main !== undefined) {
    await mkdir(join(folder, 'refs'), { recursive: true });
    await writeFile(join(folder, 'refs', 'main'), main);
  }
  return folder;
}

describe('findBaseModels', () => {
  it('finds `name` and `org/name`, and the model that a models directory itself is', async () => {
    const here = await copyTo('tiny');
    const there = await copyTo('org', 'small');
    expect(await find()).toMatchObject([
      { id: 'org/small', dir: there, revision: null, family: 'llama', problem: null },
      { id: 'tiny', dir: here, revision: null, family: 'llama', problem: null },
    ]);
    expect(await find(here)).toMatchObject([{ id: 'tiny', dir: here, problem: null }]);
  });

  it.each([
    ['the cache', ''],
    ['its parent', 'hub'],
  ])('given %s of Hugging Face › finds its models at the commit that main names', async (_, within) => {
    const root = join(models, within);
    const folder = await cache(root, 'org/na--me', COMMITS, `${COMMITS[0]}\n`);
    await cache(root, 'gpt2', [COMMITS[1]], COMMITS[1]);
    const found = await find();
    expect(found).toMatchObject([
      { id: 'gpt2', revision: COMMITS[1], problem: null },
      { id: 'org/na--me', revision: COMMITS[0], dir: join(folder, 'snapshots', COMMITS[0]), family: 'llama', problem: null },
    ]);
    expect(found[1]!.sizeBytes).toBeGreaterThan(0);
    expect((await openFileHashes()(found[1]!.dir)).map(({ name }) => name)).toContain('model.safetensors');
    expect(await find(folder)).toMatchObject([{ id: 'org/na--me', revision: COMMITS[0] }]);
  });

  it('in a cache without main, or with a main that is not complete › takes the commit that was downloaded last', async () => {
    const folder = await cache(models, 'org/name', COMMITS, 'c'.repeat(40));
    await mkdir(join(folder, 'snapshots', 'c'.repeat(40)));
    await rm(join(folder, 'snapshots', COMMITS[1], 'config.json'));
    await cp(join(TINY, 'config.json'), join(folder, 'snapshots', COMMITS[1], 'config.json'));
    await utimes(join(folder, 'snapshots', COMMITS[1], 'config.json'), new Date(), new Date(Date.now() + 60_000));
    expect(await find()).toMatchObject([{ id: 'org/name', revision: COMMITS[1], problem: null }]);
  });

  it('lists what people take for a model, such as an adapter, and says what it is', async () => {
    const write = async (name: string, files: Record<string, string>) => {
      await mkdir(join(models, name), { recursive: true });
      for (const [file, content] of Object.entries(files)) await writeFile(join(models, name, file), content);
    };
    await write('adapter', { 'adapter_config.json': '{"base_model_name_or_path": "org/base"}', 'adapter_model.safetensors': '' });
    await write('weights', { 'model.safetensors': '', 'tokenizer.json': '{}' });
    await write('notes', { 'README.md': '' });
    await write('org/adapter', { 'adapter_config.json': 'not JSON' });
    const problems = Object.fromEntries((await find()).map(({ id, problem }) => [id, problem!.replaceAll(`${models}/`, '')]));
    expect(problems).toEqual({
      adapter: expect.stringMatching(/^adapter is a PEFT adapter of "org\/base", not a model\. Name its base model\. .*merge/),
      weights: expect.stringMatching(
        /^weights has no config\.json; it has model\.safetensors, tokenizer\.json\. A model is a Hugging Face directory/,
      ),
      'org/adapter': expect.stringMatching(/^org\/adapter is a PEFT adapter, not a model\./),
    });
    expect(() => readModelConfig(join(models, 'adapter'))).toThrow(expect.objectContaining({ code: 'not_a_model', param: 'model' }));
  });
});

describe('findBaseModels › of GGUF files', () => {
  let file: string;
  beforeEach(async () => {
    file = join(home, 'tiny.gguf');
    await exportModelGguf({ modelDir: TINY, adapterDir: null }, file, {
      name: 'x',
      type: 'f16',
      templates: null,
      tokenizer: await Tokenizer.open(TINY),
    });
  });
  const put = async (...path: string[]) => {
    const to = join(models, ...path);
    await mkdir(dirname(to), { recursive: true });
    await cp(file, to);
    return to;
  };

  it('names a file alone in its directory by the directory, and others by themselves', async () => {
    const dirs = [await put('alone', 'model.Q8_0.gguf'), await put('org', 'small', 'x.gguf'), await put('plain.F16.gguf')];
    const [first, second] = [await put('several', 'F16.gguf'), await put('several', 'Q8_0.gguf')];
    await writeFile(join(models, 'alone', 'mmproj-F16.gguf'), '');
    const found = await find();
    expect(found.map(({ id, dir }) => [id, dir])).toEqual([
      ['alone', dirs[0]],
      ['org/small', dirs[1]],
      ['plain.F16', dirs[2]],
      ['several/F16', first],
      ['several/Q8_0', second],
    ]);
    const { size } = await stat(file);
    for (const one of found) expect(one).toMatchObject({ family: 'llama', revision: null, sizeBytes: size, problem: null });
    expect(found[0]!.parameters).toBe((await findBaseModels({ modelsDirs: [TINY], dataDir: home }))[0]!.parameters);
    expect(parseModelConfig(JSON.parse(found[0]!.config!), 'config.json')).toMatchObject({ hiddenSize: 64, layers: 2, tiedHead: true });
  });

  it('leaves a Hugging Face directory alone that has one beside its weights', async () => {
    const dir = await copyTo('both');
    await put('both', 'model.gguf');
    expect(await find()).toMatchObject([{ id: 'both', dir, problem: null }]);
  });

  it('lists a broken one with what is wrong, and sees when it is replaced', async () => {
    const path = join(models, 'broken.gguf');
    await writeFile(path, 'GGUF');
    expect(await find()).toMatchObject([
      { id: 'broken', problem: expect.stringMatching(/broken\.gguf is not a whole GGUF file: it ends after 4 bytes/) },
    ]);
    await put('broken.gguf');
    expect(await find()).toMatchObject([{ id: 'broken', problem: null }]);
  });
});

describe('a hostile directory beside a good one', () => {
  const config = { model_type: 'llama', hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100, intermediate_size: 128 };
  const header = (tensors: object) => {
    const json = Buffer.from(JSON.stringify(tensors));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    return Buffer.concat([length, json]);
  };
  const broken = Array.from({ length: 200_000 }, (_, index) => [`tensor ${index}`, { dtype: 'F99', shape: [1], data_offsets: [0, 4] }]);

  it.each<[string, Record<string, string | Buffer>, RegExp]>([
    [
      'claims 1e8 layers',
      { 'config.json': JSON.stringify({ ...config, num_hidden_layers: 1e8 }) },
      /num_hidden_layers is 100000000, not a positive whole number up to/,
    ],
    ['has a config.json of 20 MB', { 'config.json': ' '.repeat(20_000_000) }, /config\.json has 20000000 bytes/],
    [
      'has a config.json that is nested deeply',
      { 'config.json': `{"model_type":${'['.repeat(100_000)}${']'.repeat(100_000)}}` },
      /model_type is \[\[/,
    ],
    [
      'has 200,000 broken tensors',
      { 'config.json': JSON.stringify(config), 'model.safetensors': header(Object.fromEntries(broken)) },
      /the first 10 problems: tensor tensor 0 has type "F99"/,
    ],
    [
      'has a tensor of a name of a megabyte',
      { 'config.json': JSON.stringify(config), 'model.safetensors': header({ ['x'.repeat(1e6)]: 1 }) },
      /tensor x+… is not described/,
    ],
    [
      'names a shard outside',
      { 'config.json': JSON.stringify(config), 'model.safetensors.index.json': '{"weight_map":{"a":"../b.safetensors"}}' },
      /names "\.\.\/b/,
    ],
  ])('that %s › is listed with a short reason, and the good one stays', async (_, files, problem) => {
    await copyTo('tiny');
    await mkdir(join(models, 'hostile'));
    for (const [name, content] of Object.entries(files)) await writeFile(join(models, 'hostile', name), content);
    const found = await find();
    expect(found.map(({ id }) => id)).toEqual(['hostile', 'tiny']);
    expect(found[0]!.problem).toMatch(problem);
    expect(found[0]!.problem!.length).toBeLessThan(4_100);
    expect(found[0]!.family.length).toBeLessThan(200);
    expect(found[1]!.problem).toBeNull();
  });
});

describe('cachedSnapshot', () => {
  it.each(['../../etc', 'a/../../../b', '..'])('of a name that would lead out of the cache finds nothing: %s', async (name) => {
    await mkdir(join(home, 'etc', 'snapshots', COMMITS[0]), { recursive: true });
    await writeFile(join(home, 'etc', 'snapshots', COMMITS[0], 'config.json'), '{}');
    expect(cachedSnapshot([models], { name, commit: COMMITS[0] })).toBeNull();
    expect(() => cachedSnapshot([models], { name: 'org/name', commit: '../..' })).toThrow(/not a valid object key/);
  });

  it('finds a commit that main no longer names, but not one that was not downloaded', async () => {
    const folder = await cache(models, 'org/name', COMMITS, COMMITS[1]);
    for (const dir of [models, folder])
      expect(cachedSnapshot([dir], { name: 'org/name', commit: COMMITS[0] })).toBe(join(folder, 'snapshots', COMMITS[0]));
    expect(cachedSnapshot([models], { name: 'org/name', commit: 'c'.repeat(40) })).toBeNull();
    await mkdir(join(home, 'hf'));
    await rename(models, join(home, 'hf', 'hub'));
    expect(cachedSnapshot([join(home, 'hf')], { name: 'org/name', commit: COMMITS[0] })).toBe(
      join(home, 'hf', 'hub', 'models--org--name', 'snapshots', COMMITS[0]),
    );
  });
});
