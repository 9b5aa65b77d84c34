/** A model directory's tokenizer: Hugging Face's own Rust core, set up as Python sets it up, so the ids are Python's by construction. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONFIG_FILE, GENERATION_CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { openPythonTokenizer, type PythonTokenizer } from './python-tokenizer/python-tokenizer.ts';
import { withinTime } from './time-limit.ts';
import { bytesKey, dropsFirstSpace, idsByBytes, tokenBytes } from './token-bytes.ts';

export interface Encoded {
  ids: Int32Array;
  /** For every token, the code points [start, end) of the text that it covers. Several tokens may share one character's bytes. */
  offsets: [number, number][];
}

/** Special tokens by their names in chat templates: `bos_token`, `eos_token`, …, and the model's own (`image_token`). */
export type SpecialTokens = Readonly<Record<string, string>>;

type Json = Record<string, unknown>;

/** What WordPiece's spaces before punctuation become (`clean_up_tokenization`). In this order. */
const CLEAN_UPS = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** The longest line of a dataset takes a few seconds. */
const MAX_ENCODE_MS = 60_000;

const tooSlow = (modelDir: string, length: number): Refusal =>
  new Refusal('corrupt_model_file', `the tokenizer in ${modelDir} takes more than ${MAX_ENCODE_MS / 1000} s for a text of ${length} characters`, {
    param: 'model',
    hint: 'A pattern of its tokenizer.json (pre_tokenizer or normalizer) tries too many ways to match: use the tokenizer of the original model.',
  });

export class Tokenizer {
  private constructor(
    readonly modelDir: string,
    /** The text that ends a document; empty when the model has none. Where the tokenizer names none, the token of the model's `eos_token_id`. */
    readonly eosToken: string,
    /** Tokens that end generation, from `generation_config.json`, `config.json` and the tokenizer. */
    readonly stopTokenIds: ReadonlySet<number>,
    private readonly python: PythonTokenizer,
  ) {
    this.#addedIds = new Set(python.addedTokens.values());
  }

  readonly #addedIds: ReadonlySet<number>;
  #idsByBytes: Map<string, number> | null = null;

  /** @throws Refusal when a file of the directory is missing or cannot be read, or when Python would refuse it */
  static async open(modelDir: string): Promise<Tokenizer> {
    const python = await openPythonTokenizer(modelDir);
    const stopTokenIds = new Set<number>();
    for (const file of [GENERATION_CONFIG_FILE, CONFIG_FILE]) {
      const eos = (await readJson(join(modelDir, file)))['eos_token_id'];
      for (const id of Array.isArray(eos) ? eos : [eos]) if (typeof id === 'number') stopTokenIds.add(id);
    }
    const eosToken =
      python.specialTokens['eos_token'] ?? [...stopTokenIds].map((id) => python.core.idToToken(id)).find((token) => token !== null) ?? '';
    const eosId = eosToken === '' ? null : python.core.tokenToId(eosToken);
    if (eosId !== null) stopTokenIds.add(eosId);
    return new Tokenizer(modelDir, eosToken, stopTokenIds, python);
  }

  /** `tokenizer_config.json`, or {} without one. */
  get config(): Json {
    return this.python.files.config;
  }

  get specialTokens(): SpecialTokens {
    return this.python.specialTokens;
  }

  /** What the user should know of the tokenizer. */
  get warnings(): readonly string[] {
    return this.python.warnings;
  }

  /**
   * @param addSpecialTokens as `tokenizer(text)` does in Python, e.g. bos. Rendered chat templates already contain theirs.
   * @throws Refusal for a text that the tokenizer turns into another one
   */
  async encode(text: string, { addSpecialTokens }: { addSpecialTokens: boolean }): Promise<Encoded> {
    const { encoder, fillToken } = this.python;
    if (fillToken !== null && text.includes(fillToken))
      throw new Refusal('unsupported_text', `a text contains ${fillToken}, with which CodeLlama's tokenizer marks a gap to be filled`, {
        hint: 'Write the prefix, suffix and middle tokens themselves.',
      });
    const encoded = withinTime(encoder.encode(text, null, { addSpecialTokens }), {
      limitMs: MAX_ENCODE_MS,
      tooSlow: () => tooSlow(this.modelDir, text.length),
    });
    const encoding = await encoded.catch((error: Error) => {
      if (error instanceof Refusal) throw error;
      throw new Refusal('corrupt_model_file', `the tokenizer in ${this.modelDir} cannot encode a text: ${error.message}`, {
        param: 'model',
        hint: 'Name tokens of its vocabulary in tokenizer_config.json.',
      });
    });
    return { ids: Int32Array.from(encoding.getIds()), offsets: encoding.getOffsets() as [number, number][] };
  }

  /** @returns whether the token is matched in a text before it is split into words: a special token or a tag */
  isAddedToken(id: number): boolean {
    return this.#addedIds.has(id);
  }

  /** @returns whether decoding leaves the token out by default */
  isSpecialToken(id: number): boolean {
    return this.python.specialIds.has(id);
  }

  /** @returns the token's own bytes, which may begin or end within a character; empty for an id that the tokenizer does not have */
  async bytes(id: number): Promise<Uint8Array> {
    const { core, decoder } = this.python;
    const token = core.idToToken(id);
    if (token === null) return new Uint8Array();
    return tokenBytes(token, decoder) ?? new TextEncoder().encode(await core.decode([id], false));
  }

  /** Whether decoding drops the space before a text. */
  get dropsFirstSpace(): boolean {
    return dropsFirstSpace(this.python.decoder);
  }

  /** @returns the token that stands for these bytes; null if the tokenizer has none */
  idOf(bytes: Uint8Array): number | null {
    this.#idsByBytes ??= idsByBytes(this.python.core.getVocab(true), this.python.decoder);
    return this.#idsByBytes.get(bytesKey(bytes)) ?? null;
  }

  /** @returns the place, or if an added token of the text lies across it, that token's beginning; in UTF-16 units */
  outsideAddedTokens(text: string, place: number): number {
    let outside = place;
    for (const token of this.python.addedTokens.keys())
      for (let start = Math.max(0, place - token.length + 1); start < outside; start++) if (text.startsWith(token, start)) outside = start;
    return outside;
  }

  /** @returns the text, by default without special tokens */
  async decode(ids: Iterable<number>, { specialTokens = false }: { specialTokens?: boolean } = {}): Promise<string> {
    const { core, cleansUpSpaces } = this.python;
    const text = await core.decode([...ids], !specialTokens);
    return cleansUpSpaces ? CLEAN_UPS.reduce((cleaned, [from, to]) => cleaned.replaceAll(from, to), text) : text;
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
