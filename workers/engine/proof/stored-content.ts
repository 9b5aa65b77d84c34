/** The content of a safetensors file. */
import { basename } from 'node:path';
import { openSafetensors } from '../io/safetensors.ts';

export interface Content {
  count: number;
  parameters: number;
  /** Messages about NaN or infinite values, the first of each tensor. */
  nonFinite: string[];
}

/** Reads every tensor of a file. */
export function contentOf(path: string): Content {
  const file = openSafetensors(path);
  const content: Content = { count: 0, parameters: 0, nonFinite: [] };
  try {
    for (const name of file.header.tensors.keys()) {
      const { data } = file.read(name);
      content.count += 1;
      content.parameters += data.length;
      const at = data.findIndex((value) => !Number.isFinite(value));
      if (at !== -1) content.nonFinite.push(`${basename(path)}: tensor ${name} holds ${data[at]} at index ${at}`);
    }
  } finally {
    file.close();
  }
  return content;
}
