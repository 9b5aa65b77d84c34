/** Exports the small models in every way, and says what llama.cpp is to compute with the files. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EXPORT_DTYPES } from '../../src/formats/export-format.ts';
import { openForInference } from '../../workers/engine/compiled/open-model.ts';
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { exportAdapterGguf, exportModelGguf } from '../../workers/engine/gguf/export-gguf.ts';
import type { GgufType } from '../../workers/engine/gguf/tensor-types.ts';
import { argmax } from '../loaders/probabilities.ts';

/** Tokens after each prompt that llama.cpp must choose as Graft does. */
const CONTINUED_TOKENS = 24;

export interface ModelDirs {
  name: string;
  modelDir: string;
  adapterDir: string;
  /** PEFT's `merge_and_unload` of them, in f32. */
  mergedDir: string;
}

export const modelDirs = (folder: string): ModelDirs[] =>
  readdirSync(folder)
    .sort()
    .map((name) => {
      const of = (part: string) => join(folder, name, part);
      return { name, modelDir: of('model'), adapterDir: of('adapter'), mergedDir: of('merged') };
    });

export interface Exported {
  /** The base alone. */
  base: string;
  /** The base with the adapter merged in, by type. */
  merged: Record<GgufType, string>;
  adapter: string;
}

export async function exportAll({ name, modelDir, adapterDir }: ModelDirs, into: string): Promise<Exported> {
  const path = (kind: string) => join(into, `${name}-${kind}.gguf`);
  const options = { name, templates: null, tokenizer: await Tokenizer.open(modelDir) };
  await exportModelGguf({ modelDir, adapterDir: null }, path('base'), { ...options, type: 'f32' });
  for (const type of EXPORT_DTYPES) await exportModelGguf({ modelDir, adapterDir }, path(type), { ...options, type });
  await exportAdapterGguf({ modelDir, adapterDir }, path('adapter'), { name, type: 'f32' });
  const merged = Object.fromEntries(EXPORT_DTYPES.map((type) => [type, path(type)])) as Record<GgufType, string>;
  return { base: path('base'), merged, adapter: path('adapter') };
}

export interface Expected {
  /** Prompts with what the tuned model continues them with, greedily. */
  sequences: number[][];
  /** Logits at every position, [vocabulary] each. */
  logits: Float32Array[];
}

/** What the base with its adapter computes, which the other checks compare with transformers. */
export function expectedOf({ modelDir, adapterDir }: ModelDirs, prompts: readonly (readonly number[])[]): Expected {
  const model = openForInference({ modelDir, adapterDir });
  try {
    const sequences = prompts.map((prompt) => {
      const ids = [...prompt];
      while (ids.length < prompt.length + CONTINUED_TOKENS) {
        const logits = model.nextTokenLogits(Int32Array.from(ids));
        ids.push(argmax(logits));
      }
      return ids;
    });
    const size = model.config.vocabSize;
    const logits = sequences.flatMap((ids) => {
      const all = model.allLogits(Int32Array.from(ids));
      return ids.map((_, at) => all.slice(at * size, (at + 1) * size));
    });
    return { sequences, logits };
  } finally {
    model.dispose();
  }
}
