/** The chat templates of a model directory, by name, as transformers 5 finds them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ADDITIONAL_TEMPLATES_DIR, CHAT_TEMPLATE_FILE, TEMPLATE_EXTENSION, TOKENIZER_CONFIG_FILE } from '../../../../src/formats/model-files.ts';
import { isRecord } from '../../../../src/formats/record.ts';
import { Refusal } from '../../../../src/formats/refusal.ts';

/** Sources by name. A model with a single template has it under `default`. */
export type TemplateSources = ReadonlyMap<string, string>;

/** The template for examples without tools, and for those with tools if there is no other one. */
export const DEFAULT = 'default';
/** The template for examples with tools, where a model has one. */
export const TOOL_USE = 'tool_use';

/**
 * Files come before `tokenizer_config.json`: `chat_template.jinja` is the default, and each of `additional_chat_templates/` has its file's name.
 * @param config the directory's tokenizer_config.json, whose `chat_template` is a text or a list of named ones
 * @returns null when the model has no template
 * @throws Refusal when `chat_template` is neither
 */
export async function readTemplateSources(modelDir: string, config: Readonly<Record<string, unknown>>): Promise<TemplateSources | null> {
  const sources = new Map<string, string>();
  const main = await readFile(join(modelDir, CHAT_TEMPLATE_FILE), 'utf8').catch(() => null);
  if (main !== null) sources.set(DEFAULT, main);
  const folder = join(modelDir, ADDITIONAL_TEMPLATES_DIR);
  for (const file of (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(TEMPLATE_EXTENSION)).sort())
    sources.set(file.slice(0, -TEMPLATE_EXTENSION.length), await readFile(join(folder, file), 'utf8'));
  return sources.size > 0 ? sources : configured(config['chat_template']);
}

function configured(given: unknown): TemplateSources | null {
  if (given === undefined || given === null) return null;
  if (typeof given === 'string') return new Map([[DEFAULT, given]]);
  const named: [unknown, unknown][] = Array.isArray(given)
    ? given.map((each) => (isRecord(each) ? [each['name'], each['template']] : [each, undefined]))
    : isRecord(given)
      ? Object.entries(given)
      : [[given, undefined]];
  const wrong = named.find(([name, template]) => typeof name !== 'string' || typeof template !== 'string');
  if (wrong !== undefined)
    throw new Refusal(
      'corrupt_model_file',
      `the model's ${TOKENIZER_CONFIG_FILE} has a chat_template that is neither a text nor a list of named texts`,
      {
        param: 'model',
        hint: `Write {"name": "${DEFAULT}", "template": "..."} for each.`,
      },
    );
  return named.length === 0 ? null : new Map(named as [string, string][]);
}

/**
 * @returns the name of the template for an example
 * @throws Error when the model has several templates and none for it
 */
export function chooseTemplate(sources: TemplateSources, hasTools: boolean): string {
  if (hasTools && sources.has(TOOL_USE)) return TOOL_USE;
  if (sources.has(DEFAULT)) return DEFAULT;
  throw new Error(
    `needs a chat template that the model does not have: its templates are ${[...sources.keys()].sort().join(', ')}; name one of them ${DEFAULT}, or give the job a chat_template`,
  );
}
