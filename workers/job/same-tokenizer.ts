import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TOKENIZER_FILE } from '../../src/formats/model-files.ts';
import { isRecord } from '../../src/formats/record.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { shown } from '../../src/formats/shown.ts';

/** The largest that models ship have 35 MB. */
const MAX_BYTES = 256 * 1024 ** 2;

/**
 * An adapter directory may hold the tokenizer that it was trained with. Its tokens have to be those of the base model; how it pads or truncates does not matter.
 * A directory without one is taken as it is.
 * @throws Refusal tokenizer_mismatch
 */
export async function requireSameTokenizer(adapterDir: string, modelDir: string): Promise<void> {
  const [its, base] = [await tokensOf(adapterDir), await tokensOf(modelDir)];
  if (its === null || base === null) return;
  const other = [...its].find(([token, id]) => base.get(token) !== id) ?? [...base].find(([token]) => !its.has(token));
  if (other === undefined) return;
  const [token] = other;
  const idIn = (tokens: Map<string, number>) => (tokens.has(token) ? `${tokens.get(token)}` : 'none');
  throw new Refusal(
    'tokenizer_mismatch',
    `The adapter was trained with another tokenizer than the model has: the id of the token ${shown(token)} is ${idIn(its)} in the adapter's, ${idIn(base)} in the model's`,
    { param: 'start_from', hint: 'Choose the base model that the adapter was trained on.' },
  );
}

/** @returns the ids of all tokens; null if the directory has no file of them that can be read */
async function tokensOf(dir: string): Promise<Map<string, number> | null> {
  const path = join(dir, TOKENIZER_FILE);
  const { size } = await stat(path).catch(() => ({ size: null }));
  if (size === null || size > MAX_BYTES) return null;
  const json: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (!isRecord(json) || !isRecord(json['model'])) return null;
  const { vocab } = json['model'];
  const tokens = new Map<string, number>();
  // Of the kind Unigram, a list of pairs.
  if (Array.isArray(vocab)) for (const [id, entry] of vocab.entries()) tokens.set(String((entry as unknown[])[0]), id);
  else if (isRecord(vocab)) for (const [token, id] of Object.entries(vocab)) tokens.set(token, Number(id));
  const added = json['added_tokens'];
  if (Array.isArray(added)) for (const one of added) if (isRecord(one)) tokens.set(String(one['content']), Number(one['id']));
  return tokens;
}
