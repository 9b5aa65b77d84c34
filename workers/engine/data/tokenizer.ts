/** A model directory's tokenizer: Hugging Face's own Rust core on `tokenizer.json`, so the ids are Python's by construction. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import tokenizers from 'tokenizers';
import { CONFIG_FILE, GENERATION_CONFIG_FILE, SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';

export interface Encoded {
  ids: Int32Array;
  /** For every token, the code points [start, end) of the text that it covers. Several tokens may share one character's bytes. */
  offsets: [number, number][];
}

/** Special tokens by their names in chat templates: `bos_token`, `eos_token`, … */
export type SpecialTokens = Readonly<Record<string, string | string[]>>;

const SPECIAL_NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token', 'additional_special_tokens'];

type Json = Record<string, unknown>;

export class Tokenizer {
  private constructor(
    readonly modelDir: string,
    /** `tokenizer_config.json`, or {} without one. */
    readonly config: Json,
    readonly specialTokens: SpecialTokens,
    /** Tokens that end generation, from `generation_config.json`, `config.json` and the tokenizer. */
    readonly stopTokenIds: ReadonlySet<number>,
    private readonly core: InstanceType<typeof tokenizers.Tokenizer>,
  ) {}

  /** @throws Refusal when a file of the directory is missing or cannot be read */
  static async open(modelDir: string): Promise<Tokenizer> {
    const path = join(modelDir, TOKENIZER_FILE);
    const text = await readFile(path, 'utf8').catch(() => {
      throw new Refusal('corrupt_model_file', `${path} cannot be read`, { param: 'model', hint: 'A model directory needs its tokenizer.json.' });
    });
    let core: InstanceType<typeof tokenizers.Tokenizer>;
    try {
      core = tokenizers.Tokenizer.fromString(text);
    } catch (error) {
      throw new Refusal('corrupt_model_file', `${path} is not a tokenizer: ${(error as Error).message}`, { param: 'model' });
    }
    // tokenizer.json keeps the truncation and padding it was last used with; the engine does both itself.
    core.disableTruncation();
    core.disablePadding();
    const config = await readJson(join(modelDir, TOKENIZER_CONFIG_FILE));
    const specialTokens = readSpecialTokens(config, await readJson(join(modelDir, SPECIAL_TOKENS_FILE)));
    const stopTokenIds = new Set<number>();
    for (const file of [GENERATION_CONFIG_FILE, CONFIG_FILE]) {
      const eos = (await readJson(join(modelDir, file)))['eos_token_id'];
      for (const id of Array.isArray(eos) ? eos : [eos]) if (typeof id === 'number') stopTokenIds.add(id);
    }
    const eosToken = specialTokens['eos_token'] ?? [...stopTokenIds].map((id) => core.idToToken(id)).find((token) => token !== null);
    const eosId = typeof eosToken === 'string' ? core.tokenToId(eosToken) : null;
    if (eosId !== null) stopTokenIds.add(eosId);
    const named = typeof eosToken === 'string' ? { ...specialTokens, eos_token: eosToken } : specialTokens;
    return new Tokenizer(modelDir, config, named, stopTokenIds, core);
  }

  /** The text that ends a document; empty when the model has none. */
  get eosToken(): string {
    const token = this.specialTokens['eos_token'];
    return typeof token === 'string' ? token : '';
  }

  /**
   * @param addSpecialTokens as `tokenizer(text)` does in Python, e.g. bos. Rendered chat templates already contain theirs.
   */
  async encode(text: string, { addSpecialTokens }: { addSpecialTokens: boolean }): Promise<Encoded> {
    const encoding = await this.core.encode(text, null, { addSpecialTokens });
    return { ids: Int32Array.from(encoding.getIds()), offsets: encoding.getOffsets() as [number, number][] };
  }

  /** @returns the text, by default without special tokens */
  async decode(ids: Iterable<number>, { specialTokens = false }: { specialTokens?: boolean } = {}): Promise<string> {
    return this.core.decode([...ids], !specialTokens);
  }
}

/** @returns the object in the file; {} when the file does not exist */
async function readJson(path: string): Promise<Json> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new Refusal('corrupt_model_file', `${path} is not valid JSON: ${(error as Error).message}`, { param: 'model' });
  }
}

/** transformers 4 writes tokens as objects with a `content`, transformers 5 as strings; older directories keep them in a file of their own. */
function readSpecialTokens(config: Json, map: Json): SpecialTokens {
  const content = (value: unknown): string | undefined =>
    typeof value === 'string' ? value : typeof value === 'object' && value !== null ? content((value as Json)['content']) : undefined;
  const tokens: Record<string, string | string[]> = {};
  for (const name of SPECIAL_NAMES) {
    const value = config[name] ?? map[name];
    const token = Array.isArray(value) ? value.map(content).filter((each) => each !== undefined) : content(value);
    if (token !== undefined) tokens[name] = token;
  }
  return tokens;
}
