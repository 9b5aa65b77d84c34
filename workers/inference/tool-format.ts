/** How a model writes calls of tools, as far as its chat template says so. */
import type { ToolFormat } from '../../src/chat/messages.ts';
import { readTokenizerFiles } from '../engine/data/python-tokenizer/tokenizer-files.ts';
import { readTemplateSources } from '../engine/data/template/template-files.ts';
import type { LocalGeneration } from './messages.ts';

/** Hermes, and after it Qwen: one JSON object in each pair of these marks. */
const HERMES = ['<tool_call>', '</tool_call>', 'arguments'];

const known = new Map<string, Promise<ToolFormat>>();

/** @returns null for a template that says nothing, or writes calls in a way that cannot be told from text */
export function toolFormatOf({ dir, adapter }: LocalGeneration['model']): Promise<ToolFormat> {
  const key = adapter?.dir ?? dir;
  const format = known.get(key) ?? read(dir, adapter?.dir ?? null);
  known.set(key, format);
  return format;
}

async function read(modelDir: string, adapterDir: string | null): Promise<ToolFormat> {
  const own = adapterDir === null ? null : await readTemplateSources(adapterDir, {});
  const sources = own ?? (await readTemplateSources(modelDir, (await readTokenizerFiles(modelDir)).config));
  const text = [...(sources?.values() ?? [])].join('\n');
  return HERMES.every((mark) => text.includes(mark)) ? 'hermes' : null;
}
