/** Base models in one file, which anyone may have made: read whole, and a text encoded with the tokenizer that comes with it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refusal } from '../../../src/formats/refusal.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { describeGguf } from '../../../workers/engine/gguf/import-gguf.ts';
import { openGguf } from '../../../workers/engine/gguf/read-file.ts';
import { tokenizerOf } from '../../../workers/engine/gguf/tokenizer-json.ts';
import type { Random } from '../../random.ts';
import { type Content, ggufBytes, type Tensor, type Value } from '../../workers/engine/gguf/gguf-bytes.ts';
import type { Target } from '../target.ts';

const HIDDEN = 4;
const TOKENS = ['<unk>', '<s>', 'a', 'b', 'ab', '\u2581', '\u2581a'];

const matrix = (name: string, rows: number, columns = HIDDEN): Tensor => ({
  name,
  dimensions: rows === 1 ? [columns] : [columns, rows],
  type: 0,
  bytes: Buffer.from(Float32Array.from({ length: rows * columns }, (_, i) => i / 8).buffer),
});

/** A model of one block. @param kind of its tokenizer */
function model(kind: 'gpt2' | 'llama'): Content {
  const tokenizer: [string, Value][] =
    kind === 'gpt2'
      ? [
          ['tokenizer.ggml.pre', { string: 'llama-bpe' }],
          ['tokenizer.ggml.merges', { strings: ['a b'] }],
        ]
      : [['tokenizer.ggml.scores', { floats: TOKENS.map((_, id) => -id) }]];
  const named = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) => matrix(`blk.0.${name}.weight`, HIDDEN));
  return {
    values: [
      ['general.architecture', { string: 'llama' }],
      ['general.alignment', { u32: 32 }],
      ['llama.embedding_length', { u32: HIDDEN }],
      ['llama.block_count', { u32: 1 }],
      ['llama.attention.head_count', { u32: 1 }],
      ['llama.feed_forward_length', { u32: HIDDEN }],
      ['llama.context_length', { u32: 16 }],
      ['llama.rope.freq_base', { f32: 10_000 }],
      ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
      ['tokenizer.ggml.model', { string: kind }],
      ['tokenizer.ggml.tokens', { strings: TOKENS }],
      ['tokenizer.ggml.token_type', { integers: [2, 3, 1, 1, 1, 1, 1] }],
      ['tokenizer.ggml.bos_token_id', { u32: 1 }],
      ['tokenizer.ggml.add_bos_token', { bool: true }],
      ['tokenizer.chat_template', { string: '{{ messages[0].content }}' }],
      ...tokenizer,
    ],
    tensors: [
      matrix('token_embd.weight', TOKENS.length),
      matrix('blk.0.attn_norm.weight', 1),
      matrix('blk.0.ffn_norm.weight', 1),
      ...named,
      matrix('output_norm.weight', 1),
    ],
  };
}

const NUMBERS = [0, 1, 2, 7, 31, 32, 255, 65_535, 2 ** 31 - 1, 2 ** 32 - 1];
const LARGE = [0n, 1n, 2n ** 16n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const FLOATS = [0, -1, 1e-45, 3e38, Number.NaN, Number.POSITIVE_INFINITY];
const TEXTS = ['', '<s>', 'a', ' ', '  ', '\0', '__proto__', '🙂', 'a b', '{{', 'gpt2', 'llama', 'x'.repeat(5000)];

function otherValue(random: Random): Value {
  return random.pick<Value>([
    { u32: random.pick(NUMBERS) },
    { u64: random.pick(LARGE) },
    { f32: random.pick(FLOATS) },
    { bool: random.below(2) === 0 },
    { string: random.pick(TEXTS) },
    { strings: Array.from({ length: random.below(8) }, () => random.pick(TEXTS)) },
    { floats: Array.from({ length: random.below(8) }, () => random.pick(FLOATS)) },
    { integers: Array.from({ length: random.below(8) }, () => random.pick(NUMBERS)) },
    { type: random.below(14), bytes: Buffer.alloc(random.below(24), random.below(256)) },
  ]);
}

/** Changes what a file says, and leaves it a file. */
function otherContent(content: Content, random: Random): Content {
  const values = content.values.map(([key, value]): [string, Value] => [key, random.below(12) === 0 ? otherValue(random) : value]);
  if (random.below(6) === 0) values.splice(random.below(values.length), 1);
  const tensors = content.tensors.map((tensor): Tensor => {
    if (random.below(25) > 0) return tensor;
    return random.pick<Tensor>([
      { ...tensor, dimensions: [random.pick(LARGE), random.pick(LARGE)] },
      { ...tensor, dimensions: tensor.dimensions.toReversed() },
      { ...tensor, type: random.below(45) },
      { ...tensor, offset: random.pick(NUMBERS) },
      { ...tensor, name: random.pick(TEXTS) },
    ]);
  });
  return { ...content, values, tensors };
}

/** Changes some bytes, most of them of the header. */
function otherBytes(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes);
  for (let count = 1 + random.below(4); count > 0; count--) changed[random.below(changed.length)] = random.below(256);
  return random.below(4) === 0 ? changed.subarray(0, random.below(changed.length)) : changed;
}

const ggufFiles: Target = {
  name: 'GGUF files',
  open() {
    const seeds = [model('gpt2'), model('llama')];
    const scratch = mkdtempSync(join(tmpdir(), 'graft-fuzz-gguf-'));
    const path = join(scratch, 'model.gguf');
    return {
      make(random) {
        const seed = random.pick(seeds);
        return random.below(3) === 0 ? otherBytes(ggufBytes(seed), random) : ggufBytes(otherContent(seed, random));
      },
      async read(input) {
        writeFileSync(path, input);
        const file = openGguf(path);
        try {
          // What importGguf does, without waiting for the disk.
          const { config, tensors } = describeGguf(file);
          writeFileSync(join(scratch, 'tokenizer.json'), JSON.stringify(tokenizerOf(file, config.vocabSize).json));
          for (const { name, restore } of tensors) restore(file.read(name));
        } finally {
          file.close();
        }
        return (await (await Tokenizer.open(scratch)).encode('ab <s>a', { addSpecialTokens: true })).ids.length;
      },
      isRefusal: (error) => error instanceof Refusal,
      async close() {
        rmSync(scratch, { recursive: true, force: true });
      },
    };
  },
};

export const ggufTargets: readonly Target[] = [ggufFiles];
