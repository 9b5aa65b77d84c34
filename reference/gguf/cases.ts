/** The GGUF files that are read: a small one of every family, which Graft exports, and real ones. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagedGguf } from '../../scripts/demo/fetch-gguf.ts';
import { realModel } from '../../scripts/demo/models.ts';
import { openForInference } from '../../workers/engine/compiled/open-model.ts';
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { exportModelGguf } from '../../workers/engine/gguf/export-gguf.ts';
import { importGguf } from '../../workers/engine/gguf/import-gguf.ts';
import type { GgufType } from '../../workers/engine/gguf/tensor-types.ts';

const PROMPT = 'The old tree and the young one, 12 cafés.';

export interface GgufCase {
  name: string;
  /** In a directory of its own. */
  file: string;
  /** What Graft made of it. */
  dir: string;
  /** The directory that the file was made from; null for a real one. */
  original: string | null;
  prompt: number[];
  /** Of the engine, at every place of the prompt; f32. */
  logits: string;
}

/** Reads a file, and computes the logits of a prompt. @param name of its folder in `scratch` */
async function readCase(name: string, file: string, { original, scratch }: { original: string | null; scratch: string }): Promise<GgufCase> {
  const dir = join(scratch, name, 'read');
  mkdirSync(join(scratch, name), { recursive: true });
  await importGguf(file, dir);
  const tokenizer = await Tokenizer.open(dir);
  const prompt = [...(await tokenizer.encode(PROMPT, { addSpecialTokens: true })).ids];
  const model = openForInference({ modelDir: dir });
  const logits = join(scratch, name, 'logits.f32');
  try {
    writeFileSync(logits, new Uint8Array(Float32Array.from(model.allLogits(Int32Array.from(prompt))).buffer));
  } finally {
    model.dispose();
  }
  return { name, file, dir, original, prompt, logits };
}

/** @param type of the file */
export async function exportedCase(name: string, modelDir: string, { type, scratch }: { type: GgufType; scratch: string }): Promise<GgufCase> {
  const folder = join(scratch, `${name}-${type}`);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.gguf`);
  await exportModelGguf({ modelDir, adapterDir: null }, file, { name, type, templates: null, tokenizer: await Tokenizer.open(modelDir) });
  // The values of other types are rounded, so the original has others.
  return readCase(`${name}-${type}`, file, { original: type === 'f32' ? modelDir : null, scratch });
}

/** @param id of the demo's real models */
export async function realCase(id: string, scratch: string): Promise<GgufCase> {
  return readCase(id, await packagedGguf(realModel(id).gguf), { original: null, scratch });
}
