import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE, CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';

/** @returns the error for a directory without a config.json: what it is instead, and what to do */
export function notAModel(dir: string): Refusal {
  const refusal = (message: string, hint: string) => new Refusal('not_a_model', message, { param: 'model', hint });
  if (existsSync(join(dir, ADAPTER_CONFIG_FILE))) {
    const base = baseOf(dir);
    return refusal(
      `${dir} is a PEFT adapter${base === null ? '' : ` of "${base}"`}, not a model`,
      "Name its base model. To tune what the adapter has learned, merge it first: PEFT's merge_and_unload(), then save_pretrained().",
    );
  }
  const names = existsSync(dir) ? readdirSync(dir) : [];
  if (dir.endsWith('.gguf') || names.some((name) => name.endsWith('.gguf')))
    return refusal(
      `${dir} ${dir.endsWith('.gguf') ? 'is a model' : 'has models'} in GGUF, not a Hugging Face directory`,
      'Make one of it: npm run import -- --model FILE.gguf --out DIR. The service does that by itself.',
    );
  return refusal(
    `${dir} has no ${CONFIG_FILE}${names.length === 0 ? '' : `; it has ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`}`,
    'A model is a Hugging Face directory: config.json, safetensors, tokenizer.json.',
  );
}

function baseOf(dir: string): string | null {
  try {
    const { base_model_name_or_path: base } = JSON.parse(readFileSync(join(dir, ADAPTER_CONFIG_FILE), 'utf8')) as {
      base_model_name_or_path?: unknown;
    };
    return typeof base === 'string' && base !== '' ? base : null;
  } catch {
    return null;
  }
}
