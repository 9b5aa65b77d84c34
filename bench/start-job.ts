/** Writes what `bench:start` and `bench:estimate` give a training process: a model's directory and a file of conversations. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPANION_FILES } from '../src/formats/model-files.ts';
import { weightShapes } from '../src/formats/module-shapes.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { shapeSize } from '../src/formats/shape-size.ts';
import { writeSafetensorsSlowly } from '../workers/engine/io/safetensors.ts';
import { configJson, type Shape, SMOLLM2_135M } from './smollm-shapes.ts';

/** @returns a source of integers below a bound, always the same ones. Numerical Recipes' generator: fast, and random enough for products */
function numbers(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface SmolLmOptions {
  /** Whose tokenizer the model gets. All of its ids fit into this vocabulary. */
  tokenizerDir: string;
  /** Default: SmolLM2-135M's. */
  shape?: Shape;
  /** Whether the tokenizer is filled up to the size of the vocabulary, so that it needs the memory of a real one; default false. */
  fullVocabulary?: boolean;
}

/** Writes random weights in bf16, as such models are published, with another model's tokenizer. One tensor is in memory at a time. */
export async function writeSmolLm(dir: string, { tokenizerDir, shape = SMOLLM2_135M, fullVocabulary = false }: SmolLmOptions): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const config = { ...configJson(shape), torch_dtype: 'bfloat16' };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  for (const name of COMPANION_FILES) if (existsSync(join(tokenizerDir, name))) copyFileSync(join(tokenizerDir, name), join(dir, name));
  if (fullVocabulary) fillTokenizer(join(dir, 'tokenizer.json'), config.vocab_size);
  const next = numbers();
  const shapes = weightShapes(parseModelConfig(config, shape));
  const read = (name: string): Float32Array => {
    const size = shapes.get(name)!;
    const data = new Float32Array(shapeSize(size));
    if (size.length === 1) return data.fill(1); // norms
    for (let i = 0; i < data.length; i++) data[i] = (next(2001) / 1000 - 1) * 0.035;
    return data;
  };
  await writeSafetensorsSlowly(join(dir, 'model.safetensors'), { shapes, read }, { dtype: 'BF16', progress: async () => {} });
}

/** Adds tokens to a byte-level BPE, each of two that it has, which merge after all others. */
function fillTokenizer(path: string, vocabSize: number): void {
  const tokenizer = JSON.parse(readFileSync(path, 'utf8')) as { model: { vocab: Record<string, number>; merges: [string, string][] } };
  const { vocab, merges } = tokenizer.model;
  const known = Object.keys(vocab).filter((token) => !token.startsWith('<|'));
  let size = Object.keys(vocab).length;
  for (let index = 0; size < vocabSize; index++) {
    const pair: [string, string] = [known[index % known.length]!, known[(index * 7 + Math.floor(index / known.length)) % known.length]!];
    const joined = pair.join('');
    if (vocab[joined] !== undefined) continue;
    vocab[joined] = size++;
    merges.push(pair);
  }
  writeFileSync(path, JSON.stringify(tokenizer));
}

const WORDS = 'the cat sat on a mat and looked at the dog who barked all day long in the garden'.split(' ');

/** @param options.words in each answer; graft-tiny's tokenizer makes about 1.4 tokens of each */
export function writeConversations(path: string, { examples, words }: { examples: number; words: number }): void {
  const next = numbers();
  const text = (length: number) => Array.from({ length }, () => WORDS[next(WORDS.length)]).join(' ');
  const lines = Array.from({ length: examples }, () => ({
    messages: [
      { role: 'user', content: text(20) },
      { role: 'assistant', content: text(words) },
    ],
  }));
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
