/** What a safetensors file holds. */
import { basename } from 'node:path';
import { openSafetensors } from '../io/safetensors.ts';

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
