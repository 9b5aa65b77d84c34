/** Valid files of the reference fixtures. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FIXTURES = join(import.meta.dirname, '../../fixtures/reference');

export const tinyModel = join(FIXTURES, 'cases/llama-gqa-tied/model');

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

export const familyConfigs = (): unknown[] =>
  readdirSync(join(FIXTURES, 'families')).map((name) => json(join(FIXTURES, 'families', name, 'model/config.json')));

export interface TokenizerSeed {
  tokenizer: unknown;
  config: unknown;
}

export const tokenizers = (): TokenizerSeed[] =>
  readdirSync(join(FIXTURES, 'tokenizers'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const dir = join(FIXTURES, 'tokenizers', name);
      return { tokenizer: json(join(dir, 'tokenizer.json')), config: json(join(dir, 'tokenizer_config.json')) };
    });

export const chatTemplates = (): string[] =>
  readdirSync(join(FIXTURES, 'chat-templates')).flatMap((name) => {
    try {
      return [readFileSync(join(FIXTURES, 'chat-templates', name, 'chat_template.jinja'), 'utf8')];
    } catch {
      return []; // some families have none
    }
  });
