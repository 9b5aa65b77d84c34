import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ADDITIONAL_TEMPLATES_DIR, CHAT_TEMPLATE_FILE } from '../../../src/formats/model-files.ts';
import { writeFileWhole } from './files.ts';

/**
 * Writes a job's own chat template beside what it delivers, as transformers saves a tokenizer with one template: readers of a model's directory take it
 * before any other, so the base's further templates, which were not trained with, are left out.
 * @param files the names of what was written before
 * @returns the names of all files
 */
export function saveChatTemplate(dir: string, { files, source }: { files: readonly string[]; source: string }): string[] {
  rmSync(join(dir, ADDITIONAL_TEMPLATES_DIR), { recursive: true, force: true });
  writeFileWhole(join(dir, CHAT_TEMPLATE_FILE), source);
  const kept = files.filter((name) => name !== CHAT_TEMPLATE_FILE && !name.startsWith(`${ADDITIONAL_TEMPLATES_DIR}/`));
  return [...kept, CHAT_TEMPLATE_FILE].sort();
}
