import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openHub } from '../../src/hub/hub.ts';
import { parseHubName } from '../../src/hub/hub-name.ts';
import { filesOf, type HubServer, startHub } from './hub-server.ts';
import { COMMITS, repository } from './repository.ts';

const TINY = fileURLToPath(new URL('../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let server: HubServer;
let tiny: Map<string, Buffer>;
beforeAll(async () => {
  server = await startHub();
  tiny = await filesOf(TINY);
  server.repositories.set('org/tiny', repository(tiny));
});
afterAll(() => server?.close());

const without = (name: string) => new Map([...tiny].filter(([file]) => file !== name));
const withFiles = (files: Record<string, unknown>, base = tiny) =>
  new Map([...base, ...Object.entries(files).map(([name, content]) => [name, Buffer.from(JSON.stringify(content))] as const)]);
const hubFor = (env: Record<string, string> = {}) => openHub(readConfig({ HF_ENDPOINT: server.url, ALLOW_MODEL_DOWNLOAD: 'true', ...env }).hub);
const describeModel = (name: string, env?: Record<string, string>) => hubFor(env).describe(parseHubName(name)!);

describe('parseHubName', () => {
  it.each([
    ['org/name', { name: 'org/name', revision: null }],
    ['org/name@v1.0', { name: 'org/name', revision: 'v1.0' }],
    ['org/name@refs/pr/1', { name: 'org/name', revision: 'refs/pr/1' }],
    ['graft-tiny', null],
    ['../name', null],
    ['org/..', null],
    ['org/name@../x', null],
    ['org/name/more', null],
  ])('parses %s as %j', (model, expected) => expect(parseHubName(model)).toEqual(expected));
});

describe('allows', () => {
  it.each([
    ['', 'org/tiny', false],
    ['false', 'org/tiny', false],
    ['true', 'org/tiny', true],
    ['org/tiny, other/*', 'org/tiny', true],
    ['org/tiny, other/*', 'other/any', true],
    ['org/tiny, other/*', 'org/tiny2', false],
    ['other/*', 'otherwise/any', false],
  ])('with ALLOW_MODEL_DOWNLOAD=%j › for %s is %s', (setting, name, expected) => {
    expect(hubFor({ ALLOW_MODEL_DOWNLOAD: setting }).allows(name)).toBe(expected);
  });

  it('refuses a setting that names no model', () => {
    expect(() => readConfig({ ALLOW_MODEL_DOWNLOAD: 'org/tiny,everything' })).toThrow(/ALLOW_MODEL_DOWNLOAD has "everything"/);
  });
});

describe('describe', () => {
  it('returns commit, family, size and only those files of the repository that a job needs', async () => {
    server.repositories.set('org/full', repository(withFiles({ 'pytorch_model.bin': 'pickle', 'README.md': 'text' })));
    const model = await describeModel('org/full');
    expect(model).toMatchObject({ name: 'org/full', commit: COMMITS[0], family: 'llama' });
    const names = model.files.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['config.json', 'tokenizer.json', 'model.safetensors']));
    expect(names).not.toContain('pytorch_model.bin');
    expect(names).not.toContain('README.md');
    expect(model.sizeBytes).toBe(names.reduce((sum, name) => sum + tiny.get(name)!.length, 0));
  });

  it('takes the further chat templates of a model, and nothing else from a folder', async () => {
    const more = { 'additional_chat_templates/tool_use.jinja': 'tools', 'additional_chat_templates/notes.txt': 'x', 'onnx/model.jinja': 'x' };
    server.repositories.set('org/templates', repository(withFiles(more)));
    const { files } = await describeModel('org/templates');
    expect(files.map(({ name }) => name).filter((name) => name.includes('/'))).toEqual(['additional_chat_templates/tool_use.jinja']);
  });

  it('takes vocab.json and merges.txt for a tokenizer.json', async () => {
    const vocabulary = { 'vocab.json': {}, 'merges.txt': '#version: 0.2' };
    server.repositories.set('org/vocabulary', repository(withFiles(vocabulary, without('tokenizer.json'))));
    const names = (await describeModel('org/vocabulary')).files.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['vocab.json', 'merges.txt', 'model.safetensors']));
    server.repositories.set('org/half', repository(withFiles({ 'vocab.json': {} }, without('tokenizer.json'))));
    await expect(describeModel('org/half')).rejects.toThrow('lacks tokenizer.json');
  });

  it.each([
    ['a missing model', 'org/none', { code: 'model_not_found' }],
    ['a missing revision', 'org/tiny@v9', { code: 'revision_not_found' }],
  ])('reports %s', async (_, name, expected) => {
    await expect(describeModel(name)).rejects.toMatchObject(expected);
  });

  it('asks for a token for a gated model, or for access with the given one', async () => {
    server.repositories.set('org/gated', { ...repository(tiny), gatedFor: 'hf_right' });
    await expect(describeModel('org/gated')).rejects.toMatchObject({
      code: 'model_gated',
      hint: expect.stringMatching(/set HF_TOKEN to a token of that account/),
    });
    await expect(describeModel('org/gated', { HF_TOKEN: 'hf_wrong' })).rejects.toMatchObject({
      code: 'model_gated',
      hint: expect.stringMatching(/with the account that HF_TOKEN belongs to/),
    });
    await expect(describeModel('org/gated', { HF_TOKEN: 'hf_right' })).resolves.toMatchObject({ family: 'llama' });
  });

  it.each([
    ['the weights', () => without('model.safetensors'), /lacks model\.safetensors/],
    ['the tokenizer', () => without('tokenizer.json'), /lacks tokenizer\.json/],
    [
      'a shard that the index names',
      () => withFiles({ 'model.safetensors.index.json': { weight_map: { a: 'model-00001-of-00002.safetensors' } } }, without('model.safetensors')),
      /lacks model-00001-of-00002\.safetensors/,
    ],
    [
      'an index that names only files beside it',
      () => withFiles({ 'model.safetensors.index.json': { weight_map: { a: '../weights.safetensors' } } }, without('model.safetensors')),
      /names "\.\.\/weights\.safetensors", which is not a safetensors file beside it/,
    ],
  ])('names what is missing from a model without %s', async (_, files, message) => {
    server.repositories.set('org/incomplete', repository(files()));
    await expect(describeModel('org/incomplete')).rejects.toMatchObject({ code: 'model_incomplete', message: expect.stringMatching(message) });
  });

  it('refuses an unsupported family by name, before anything is downloaded', async () => {
    server.repositories.set('org/mamba', repository(withFiles({ 'config.json': { model_type: 'mamba' } })));
    server.served.length = 0;
    await expect(describeModel('org/mamba')).rejects.toMatchObject({ code: 'unsupported_architecture', message: expect.stringMatching(/mamba/) });
    expect(server.served.map(({ file }) => file)).toEqual(['config.json']);
  });

  it('reports a hub that cannot be reached', async () => {
    const unreachable = await startHub();
    await unreachable.close();
    await expect(describeModel('org/tiny', { HF_ENDPOINT: unreachable.url })).rejects.toMatchObject({ code: 'model_hub_unreachable' });
  });
});
