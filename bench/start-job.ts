/** Writes what `bench:start` gives a training process: a model's directory and a file of conversations. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPANION_FILES } from '../src/formats/model-files.ts';
import { weightShapes } from '../src/formats/module-shapes.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { writeSafetensors } from '../workers/engine/io/safetensors.ts';
import { configJson, SMOLLM2_135M } from './smollm-shapes.ts';

/** @returns a source of integers below a bound, always the same ones. Numerical Recipes' generator: fast, and random enough for products */
function numbers(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Writes random weights in bf16, as such models are published, with another model's tokenizer, whose ids all fit into this vocabulary. */
export function writeSmolLm(dir: string, tokenizerDir: string): void {
  mkdirSync(dir, { recursive: true });
  const config = { ...configJson(SMOLLM2_135M), torch_dtype: 'bfloat16' };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  for (const name of COMPANION_FILES) if (existsSync(join(tokenizerDir, name))) copyFileSync(join(tokenizerDir, name), join(dir, name));
  const next = numbers();
  const tensors = [...weightShapes(parseModelConfig(config, SMOLLM2_135M))].map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
    if (shape.length === 1)
      data.fill(1); // norms
    else for (let i = 0; i < data.length; i++) data[i] = (next(2001) / 1000 - 1) * 0.035;
    return [name, { shape, data }] as const;
  });
  writeSafetensors(join(dir, 'model.safetensors'), new Map(tensors), { dtype: 'BF16' });
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
