import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference } from '../../../../reference/fixtures.ts';
import { Refusal } from '../../../../src/formats/refusal.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

interface Case {
  name: string;
  kind: string;
  files: Record<string, unknown>;
  /** Changes in tokenizer.json; null for vocab.json and merges.txt in its place. */
  serialized: (Record<string, unknown> & { removed?: string[] }) | null;
  expected: { special: Record<string, string>; first: number[][]; sha256: string } | { refused: string };
}

interface Serialized {
  added_tokens: { content: string }[];
  model: { vocab: Record<string, number>; merges: [string, string][] };
}

const { lines, cases } = readReference<{ lines: string[]; cases: Case[] }>('tokenizers', 'directories.json');
const isRefused = (one: Case): boolean => 'refused' in one.expected;
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'graft-tokenizers-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let made = 0;
function directory(files: Record<string, unknown>): string {
  const dir = join(root, String(made++));
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  return dir;
}

function directoryOf({ kind, files, serialized }: Pick<Case, 'kind' | 'files' | 'serialized'>): string {
  const file = readReference<Serialized>('tokenizers', kind, 'tokenizer.json');
  if (serialized === null) {
    const merges = file.model.merges.map((merge) => `${merge.join(' ')}\n`).join('');
    return directory({ ...files, 'vocab.json': file.model.vocab, 'merges.txt': `#version: 0.2\n${merges}` });
  }
  const { removed = [], ...changes } = serialized;
  const added = file.added_tokens.filter(({ content }) => !removed.includes(content));
  return directory({ ...files, 'tokenizer.json': { ...file, ...changes, added_tokens: added } });
}

async function results(tokenizer: Tokenizer, line: string) {
  const { ids, offsets } = await tokenizer.encode(line, { addSpecialTokens: false });
  const whole = await tokenizer.encode(line, { addSpecialTokens: true });
  return [[...ids], [...whole.ids], offsets, await tokenizer.decode(ids, { specialTokens: true }), await tokenizer.decode(ids)];
}

describe('Tokenizer.open › of a directory that transformers reads', () => {
  it.each(cases.filter((one) => !isRefused(one)).map((one) => [one.name, one] as const))(
    "with %s › gives AutoTokenizer's special tokens, ids, offsets and texts",
    async (_, one) => {
      const tokenizer = await Tokenizer.open(directoryOf(one));
      const all = await Promise.all(lines.map((line) => results(tokenizer, line)));
      const sha256 = createHash('sha256').update(JSON.stringify(all)).digest('hex');
      expect({ special: tokenizer.specialTokens, first: all.slice(0, 2).map(([ids]) => ids), sha256 }).toEqual(one.expected);
    },
  );
});

describe('Tokenizer.open › of a directory that transformers refuses', () => {
  it.each(cases.filter(isRefused).map((one) => [one.name, one] as const))('with %s › refuses it too', async (_, one) => {
    const use = async () => {
      const tokenizer = await Tokenizer.open(directoryOf(one));
      for (const line of lines) await tokenizer.encode(line, { addSpecialTokens: true });
    };
    await expect(use()).rejects.toBeInstanceOf(Refusal);
  });
});

describe('Tokenizer.open › of a directory that only Python can convert', () => {
  it.each(['tokenizer.model', 'tokenizer.model.v3', 'tekken.json'])('with %s alone › says how to convert it', async (name) => {
    const dir = directory({ 'config.json': { model_type: 'llama' }, [name]: 'x' });
    const error: unknown = await Tokenizer.open(dir).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Refusal);
    expect((error as Refusal).text).toContain(`Convert ${name}`);
    expect((error as Refusal).text).toContain(`'${dir}'; AutoTokenizer.from_pretrained(d).save_pretrained(d)`);
  });
});

describe('Tokenizer.open › of a directory with a tokenizer.json for older and one for newer versions', () => {
  it('takes the newest that transformers 5.23 may read', async () => {
    const file = readReference<Serialized>('tokenizers', 'smollm', 'tokenizer.json');
    const withToken = (content: string) => {
      const token = { ...file.added_tokens[0]!, id: Object.keys(file.model.vocab).length, content };
      return { ...file, added_tokens: [...file.added_tokens, token] };
    };
    const dir = directory({
      'tokenizer_config.json': { fast_tokenizer_files: ['tokenizer.json', 'tokenizer.4.0.0.json', 'tokenizer.5.1.0.json', 'tokenizer.6.0.0.json'] },
      'tokenizer.json': file,
      ...Object.fromEntries(['4.0.0', '5.1.0', '6.0.0'].map((version) => [`tokenizer.${version}.json`, withToken(`<${version}>`)])),
    });
    const { ids } = await (await Tokenizer.open(dir)).encode('<5.1.0>', { addSpecialTokens: false });
    expect(ids).toHaveLength(1);
  });
});

describe('Tokenizer.open › of a Granite, whose directories name a class that transformers does not take', () => {
  const idsOf = async (model_type: string) => {
    const files = { 'config.json': { model_type }, 'tokenizer_config.json': { tokenizer_class: 'GPT2Tokenizer' } };
    const dir = directory({ ...files, 'tokenizer.json': readReference('tokenizers', 'gemma', 'tokenizer.json') });
    return (await (await Tokenizer.open(dir)).encode("In 1234567 words, it is NOT'ed", { addSpecialTokens: false })).ids;
  };

  it.each(['granitemoe', 'granitemoeshared', 'granitemoehybrid'])('%s › takes all of tokenizer.json, as of granite', async (modelType) => {
    expect(await idsOf(modelType)).toEqual(await idsOf('granite'));
    expect(await idsOf(modelType)).not.toEqual(await idsOf('llama'));
  });
});

describe('Tokenizer.open › of a tokenizer.json with which the core would end the process', () => {
  const file = () => readReference<Serialized & Record<string, unknown>>('tokenizers', 'llama3', 'tokenizer.json');
  const opened = (json: object) => Tokenizer.open(directory({ 'tokenizer.json': json }));
  const single = [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
  const template = { type: 'TemplateProcessing', single, pair: single, special_tokens: {} };

  it.each([
    ['a template whose special token is not declared', { post_processor: template }, /puts "<bos>" around a text/],
    ['such a template inside a sequence', { post_processor: { type: 'Sequence', processors: [template] } }, /puts "<bos>" around a text/],
  ])('%s › is refused', async (_, change, message) => {
    await expect(opened({ ...file(), ...change })).rejects.toThrow(message);
  });

  it.each([
    ['longer than a token of a merge', 'prefix'],
    ['that ends inside a character of it', 'x'],
  ])('a prefix %s › is refused', async (_, prefix) => {
    const { model, ...rest } = file();
    const merges = [['a', 'é'], ...model.merges];
    const json = { ...rest, model: { ...model, merges, continuing_subword_prefix: prefix } };
    await expect(opened(json)).rejects.toThrow(`from which continuing_subword_prefix "${prefix}" cannot be cut off`);
  });

  it('a merge to a token longer than any of the vocabulary › is refused', async () => {
    const { model, ...rest } = file();
    const longest = Object.keys(model.vocab).toSorted((a, b) => Buffer.byteLength(b) - Buffer.byteLength(a))[0]!;
    const json = { ...rest, model: { ...model, merges: [...model.merges, [longest, 'a']] } };
    await expect(opened(json)).rejects.toThrow(`joins "${longest}" and "a" to a token longer than any of its vocabulary`);
  });
});
