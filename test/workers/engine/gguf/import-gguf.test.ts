import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referencePath } from '../../../../reference/fixtures.ts';
import { corpusBlocks } from '../../../../reference/tokenizer-measures.ts';
import { weightShapes } from '../../../../src/formats/module-shapes.ts';
import { readTemplateSources, type TemplateSources } from '../../../../workers/engine/data/template/template-files.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { exportModelGguf } from '../../../../workers/engine/gguf/export-gguf.ts';
import { importGguf } from '../../../../workers/engine/gguf/import-gguf.ts';
import type { GgufType } from '../../../../workers/engine/gguf/tensor-types.ts';
import { storedDtypeOf } from '../../../../workers/engine/io/model-directory.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { readModelConfig } from '../../../../workers/engine/model/weights.ts';
import { type Content, ggufBytes, type Tensor, type Value } from './gguf-bytes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'graft-gguf-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let made = 0;
const place = () => join(scratch, String(made++));

const VOCABULARY = 544;

/** A family's fixture with random weights and a tokenizer of its kind. */
async function modelOf(family: string, tokenizer: string, changes: object = {}): Promise<string> {
  const dir = place();
  await mkdir(dir);
  const config = { ...readReference<object>('families', family, 'model', 'config.json'), vocab_size: VOCABULARY, ...changes };
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  const own = referencePath('tokenizers', tokenizer);
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) await copyFile(join(own, file), join(dir, file));
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 0x7fffffff;
    return Math.fround((seed / 0x7fffffff - 0.5) * 0.2);
  };
  const weights = [...weightShapes(readModelConfig(dir))].map(([name, shape]) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, random);
    return [name, { shape, data }] as const;
  });
  writeSafetensors(join(dir, 'model.safetensors'), new Map(weights));
  return dir;
}

/** Exports a model, whose file has the bytes of llama.cpp's own converter (`npm run test:exports`), and reads the file back. */
async function through(modelDir: string, type: GgufType = 'f32', templates: TemplateSources | null = null): Promise<string> {
  const [file, dir] = [`${place()}.gguf`, place()];
  await exportModelGguf({ modelDir, adapterDir: null }, file, { name: 'x', type, templates, tokenizer: await Tokenizer.open(modelDir) });
  await importGguf(file, dir);
  return dir;
}

/** What the decoder computes; not the names of the special tokens, which GGUF has of the tokenizer, nor notes for users. */
function maths(dir: string): object {
  const { modelType, bosTokenId, eosTokenIds, padTokenId, paddingId, dropout, ignored, ...rest } = readModelConfig(dir);
  return JSON.parse(JSON.stringify(rest, (_, value) => (typeof value === 'number' ? Math.fround(value) : value)));
}

const LLAMA3 = { rope_type: 'llama3', rope_theta: 10_000, factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
/** What transformers would derive of these sizes. */
const SEVEN_LAYERS = { num_hidden_layers: 7, layer_types: undefined };

/** `modelType`, where it is another one afterwards: llama.cpp has one architecture for several. */
const CASES: { name: string; family: string; tokenizer: string; modelType?: string; changes?: object }[] = [
  { name: 'llama with YaRN', family: 'llama-yarn-rope', tokenizer: 'llama3' },
  {
    name: 'llama with the frequencies of Llama 3',
    family: 'llama-yarn-rope',
    tokenizer: 'smollm',
    changes: { rope_parameters: { ...LLAMA3, original_max_position_embeddings: 8192 }, head_dim: 64 },
  },
  {
    name: 'llama with linear scaling',
    family: 'llama-yarn-rope',
    tokenizer: 'llama2',
    changes: { rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: 10_000 } },
  },
  {
    name: 'llama with biases and a tied head',
    family: 'llama-yarn-rope',
    tokenizer: 'smollm',
    changes: { attention_bias: true, mlp_bias: true, tie_word_embeddings: true },
  },
  { name: 'mistral', family: 'mistral-no-window', tokenizer: 'mistral', modelType: 'llama' },
  {
    name: 'smollm3',
    family: 'smollm3',
    tokenizer: 'llama3',
    changes: { num_hidden_layers: 4, no_rope_layers: undefined, no_rope_layer_interval: 4, layer_types: undefined },
  },
  { name: 'qwen2', family: 'qwen2', tokenizer: 'qwen' },
  { name: 'qwen3', family: 'qwen3', tokenizer: 'qwen' },
  { name: 'gemma', family: 'gemma', tokenizer: 'gemma' },
  { name: 'gemma2', family: 'gemma2', tokenizer: 'gemma', changes: { query_pre_attn_scalar: 16 } },
  { name: 'gemma3', family: 'gemma3', tokenizer: 'gemma', changes: { ...SEVEN_LAYERS, query_pre_attn_scalar: 16 } },
  { name: 'gemma3-scaled', family: 'gemma3-scaled', tokenizer: 'gemma', changes: SEVEN_LAYERS },
  { name: 'phi3', family: 'phi3', tokenizer: 'phi3', changes: { sliding_window: null } },
  { name: 'phi3-longrope', family: 'phi3-longrope', tokenizer: 'phi3' },
  { name: 'phi3-partial', family: 'phi3-partial', tokenizer: 'phi3' },
  { name: 'gpt2', family: 'gpt2', tokenizer: 'gpt2' },
  { name: 'gpt-neox', family: 'gpt-neox', tokenizer: 'gpt-neox' },
  { name: 'gpt-neox-sequential', family: 'gpt-neox-sequential', tokenizer: 'gpt-neox', changes: { tie_word_embeddings: false } },
  { name: 'olmo2', family: 'olmo2', tokenizer: 'llama3' },
];

describe('importGguf › of a file that was exported', () => {
  it.each(CASES)('$name › has every weight and the same maths', async ({ family, tokenizer, modelType, changes }) => {
    const original = await modelOf(family, tokenizer, changes);
    const read = await through(original);
    const { modelType: expected, norm } = readModelConfig(original);
    expect(readModelConfig(read).modelType).toBe(modelType ?? expected);
    expect(maths(read)).toEqual(maths(original));
    const [before, after] = [readSafetensors(join(original, 'model.safetensors')), readSafetensors(join(read, 'model.safetensors'))];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [name, { shape, data }] of before) {
      expect(after.get(name)!.shape, name).toEqual(shape);
      // One is added to Gemma's norms and taken away again.
      const isShifted = norm.offset === 1 && shape.length === 1;
      expect(largestDifference(after.get(name)!.data, data), name).toBeLessThanOrEqual(isShifted ? 6e-8 : 0);
    }
  });
});

/**
 * What GGUF does not say is as llama.cpp has it, which these tokenizers have otherwise: `unlike` are lines that show it. Text after a special token begins
 * with a space; `</s>` takes the white space after it; a run of spaces is one token.
 */
const CASES_OF_TOKENIZERS: { tokenizer: string; family: string; unlike?: RegExp }[] = [
  { tokenizer: 'gpt2', family: 'gpt2' },
  { tokenizer: 'gpt-neox', family: 'gpt-neox' },
  { tokenizer: 'smollm', family: 'llama-yarn-rope' },
  { tokenizer: 'llama3', family: 'llama-yarn-rope' },
  { tokenizer: 'qwen', family: 'qwen3' },
  { tokenizer: 'llama2', family: 'llama-yarn-rope' },
  { tokenizer: 'mistral', family: 'llama-yarn-rope', unlike: /<unk>|<\/?s>|^[ ▁]|\[\/?[A-Z]/ },
  { tokenizer: 'phi3', family: 'phi3', unlike: /<\/s>/ },
  { tokenizer: 'gemma', family: 'gemma', unlike: /[ ▁]{2}/ },
];

describe('importGguf › of fields that transformers takes as floats alone', () => {
  it('writes whole numbers with their point', async () => {
    const read = await through(await modelOf('gemma2', 'gemma', { query_pre_attn_scalar: 16, final_logit_softcapping: 30 }));
    const text = readFileSync(join(read, 'config.json'), 'utf8');
    expect(text).toContain('"final_logit_softcapping": 30.0');
    expect(text).toContain('"rope_theta": 10000.0');
    expect(text).toContain('"query_pre_attn_scalar": 16,');
  });
});

describe('importGguf › of a tokenizer that was exported', () => {
  it.each(CASES_OF_TOKENIZERS)(
    '$tokenizer › gives the same tokens of hard lines, and the same text of them',
    async ({ tokenizer, family, unlike }) => {
      const original = await modelOf(family, tokenizer, family === 'phi3' ? { sliding_window: null } : {});
      const [before, after] = [await Tokenizer.open(original), await Tokenizer.open(await through(original))];
      expect(after.specialTokens).toMatchObject(before.specialTokens);
      const lines = corpusBlocks()[0]!.filter((line) => unlike?.test(line) !== true);
      expect(lines.length).toBeGreaterThan(200);
      for (const line of lines) {
        const { ids } = await after.encode(line, { addSpecialTokens: true });
        const { ids: expected } = await before.encode(line, { addSpecialTokens: true });
        expect([...ids], JSON.stringify(line)).toEqual([...expected]);
        expect(await after.decode(ids)).toBe(await before.decode(expected));
      }
    },
  );
});

describe('importGguf › of a file of another type', () => {
  it.each<[GgufType, string, number]>([
    ['f16', 'F16', 2 ** -11],
    ['bf16', 'BF16', 2 ** -8],
    ['q8_0', 'F32', 1 / 127],
  ])('%s › writes matrices as %s, without rounding them again', async (type, dtype, tolerance) => {
    const original = await modelOf('llama-yarn-rope', 'smollm');
    const read = await through(original, type);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const [before, after] = [readSafetensors(join(original, 'model.safetensors')), readSafetensors(join(read, 'model.safetensors'))];
    expect(after.get(name)!.dtype).toBe(dtype);
    expect(after.get('model.norm.weight')!.dtype).toBe('F32');
    expect(storedDtypeOf(read)).toBe(dtype);
    expect(largestDifference(after.get(name)!.data, before.get(name)!.data)).toBeLessThanOrEqual(tolerance * 0.1);
    const again = await through(read, type);
    expect(readFileSync(join(again, 'model.safetensors')).equals(readFileSync(join(read, 'model.safetensors')))).toBe(true);
  });

  it('keeps chat templates, special tokens and where generation stops', async () => {
    const original = await modelOf('llama-yarn-rope', 'llama3');
    await writeFile(join(original, 'generation_config.json'), '{"eos_token_id": [2, 5]}');
    const templates = new Map([
      ['default', '{{ messages[0].content }}'],
      ['tool_use', 'tools'],
    ]);
    const read = await through(original, 'f32', templates);
    const [before, after] = [await Tokenizer.open(original), await Tokenizer.open(read)];
    expect(await readTemplateSources(read, after.config)).toEqual(templates);
    expect([...after.stopTokenIds].sort()).toEqual([...before.stopTokenIds].sort());
    expect(readdirSync(read).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'graft_gguf.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });
});

describe('importGguf › of a file that it cannot read', () => {
  const embedding: Tensor = { name: 'token_embd.weight', dimensions: [4, 2], type: 0, bytes: Buffer.alloc(32) };
  const llama: [string, Value][] = [
    ['general.architecture', { string: 'llama' }],
    ['llama.embedding_length', { u32: 4 }],
    ['llama.block_count', { u32: 1 }],
    ['llama.attention.head_count', { u32: 1 }],
    ['llama.feed_forward_length', { u32: 4 }],
    ['llama.context_length', { u32: 8 }],
    ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
  ];

  it.each<[string, Partial<Content>, string, RegExp]>([
    ['another architecture', { values: [['general.architecture', { string: 'mamba' }]] }, 'unsupported_architecture', /has the architecture "mamba"/],
    ['no architecture', { values: [] }, 'corrupt_model_file', /it has no general\.architecture/],
    ['one part of three', { values: [...llama, ['split.count', { u32: 3 }]] }, 'unsupported_architecture', /is one of 3 parts of a model/],
    ['an adapter', { values: [...llama, ['general.type', { string: 'adapter' }]] }, 'unsupported_architecture', /general\.type is "adapter"/],
    ['experts', { values: [...llama, ['llama.expert_count', { u32: 8 }]] }, 'unsupported_architecture', /llama\.expert_count is 8/],
    ['no width', { values: llama.filter(([key]) => !key.endsWith('embedding_length')) }, 'corrupt_model_file', /it has no llama\.embedding_length/],
    ['missing tensors', { values: llama }, 'corrupt_model_file', /the tensor output_norm\.weight is missing/],
    ['no embedding', { values: llama, tensors: [] }, 'corrupt_model_file', /it has no matrix token_embd\.weight/],
  ])('%s › refuses it by name and writes nothing', async (_, content, code, problem) => {
    const [file, dir] = [`${place()}.gguf`, place()];
    await writeFile(file, ggufBytes({ values: [], tensors: [embedding], ...content }));
    await expect(importGguf(file, dir)).rejects.toMatchObject({ code, param: 'model', message: expect.stringMatching(problem) });
    expect([existsSync(dir), existsSync(`${dir}.partial`)]).toEqual([false, false]);
  });
});
