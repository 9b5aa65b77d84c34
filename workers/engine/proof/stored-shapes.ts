/** Which tensors a directory's safetensors files hold, without reading them. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readJson } from '../io/files.ts';
import { openSafetensors } from '../io/safetensors.ts';

/** The shape of every tensor in a Hugging Face model directory, by name. */
export function modelShapes(modelDir: string): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const path of weightFiles(modelDir)) {
    const file = openSafetensors(path);
    for (const [name, { shape }] of file.header.tensors) shapes.set(name, shape);
    file.close();
  }
  return shapes;
}

/** One file, or the shards its index names. */
export function weightFiles(modelDir: string): string[] {
  const single = join(modelDir, 'model.safetensors');
  if (existsSync(single)) return [single];
  const index = readJson(join(modelDir, 'model.safetensors.index.json'), 'Is this a Hugging Face model directory?');
  const { weight_map: holders } = index as { weight_map: Record<string, string> };
  return [...new Set(Object.values(holders))].map((name) => join(modelDir, name));
}

export interface Content {
  count: number;
  parameters: number;
  /** Values that are no finite numbers, the first of each tensor. */
  strange: string[];
}

/** Reads every tensor of a file. */
export function contentOf(path: string): Content {
  const file = openSafetensors(path);
  const content: Content = { count: 0, parameters: 0, strange: [] };
  try {
    for (const name of file.header.tensors.keys()) {
      const { data } = file.read(name);
      content.count += 1;
      content.parameters += data.length;
      const at = data.findIndex((value) => !Number.isFinite(value));
      if (at !== -1) content.strange.push(`${basename(path)}: tensor ${name} holds ${data[at]} at index ${at}`);
    }
  } finally {
    file.close();
  }
  return content;
}
