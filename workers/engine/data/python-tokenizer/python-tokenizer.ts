/**
 * The tokenizer that Python's `AutoTokenizer.from_pretrained(modelDir)` makes (transformers 5.23). It differs from `tokenizer.json` alone where
 * `tokenizer_config.json` and older files declare tokens, and where the tokenizer's class builds its parts anew.
 * Follows `TokenizersBackend` in transformers' `tokenization_utils_tokenizers.py`.
 */
import tokenizers from 'tokenizers';
import { isRecord } from '../../../../src/formats/record.ts';
import { AddedToken, type NamedToken } from './added-token.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import { refuseCorePanics } from './core-panics.ts';
import { type Arguments, initArguments, isFilled, tokenTexts } from './init-arguments.ts';
import { asksForRightWords, MISTRAL_WORDS_WARNING, mayHaveWrongWords, withRightWords } from './mistral-words.ts';
import { allSpecial, type NamedTokens, namedTokens } from './named-tokens.ts';
import { REBUILT_CLASSES } from './rebuilt.ts';
import { withoutSpecial } from './split-special-tokens.ts';
import { AS_SERIALIZED, type TokenizerClass, tokenizerClass } from './tokenizer-class.ts';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.ts';
import { changed, type Source, tokenizerSource } from './tokenizer-source.ts';

type Json = Record<string, unknown>;
type PostProcessor = InstanceType<typeof tokenizers.Processor>;
export type Core = InstanceType<typeof tokenizers.Tokenizer>;

export interface PythonTokenizer {
  core: Core;
  /** Encodes text; another core than the one above only with `split_special_tokens`, where special tokens in text are text. */
  encoder: Core;
  /** Ids of the tokens that are matched in a text before it is split into words, by their content. */
  addedTokens: ReadonlyMap<string, number>;
  /** Those of them that decoding leaves out. */
  specialIds: ReadonlySet<number>;
  /** tokenizer.json's description of how tokens become text. */
  decoder: unknown;
  /** The files read, of which other parts of the engine use some. */
  files: TokenizerFiles;
  /** Texts of the special tokens by name, as templates see them (`special_tokens_map`). */
  specialTokens: Record<string, string>;
  /** Whether decoding removes the spaces that WordPiece puts before punctuation. */
  cleansUpSpaces: boolean;
  /** CodeLlama's mark of a gap to be filled, which turns a text into another; null for others. */
  fillToken: string | null;
  warnings: string[];
}

/** @throws Refusal for a directory that Python refuses, and for one that is not supported here */
export async function openPythonTokenizer(modelDir: string): Promise<PythonTokenizer> {
  const files = await readTokenizerFiles(modelDir);
  const kind = tokenizerClass(files);
  const { given, addedTokens } = initArguments(files);
  const args = constructorArguments(kind, given, files);
  let source = tokenizerSource(kind, { args, declared: addedTokens, files });
  const special = namedTokens(args);
  const added = tokensToAdd(source, special, addedTokens);
  if (kind === 'Qwen2Tokenizer') added.push(...allSpecial(special).map((token) => AddedToken.special(token)));

  refuseCorePanics(source);
  let core = loadCore(source, added);
  const warnings: string[] = [];
  if (mayHaveWrongWords({ model: files.model, vocabularySize: core.getVocabSize(), preTokenizer: source.json['pre_tokenizer'] })) {
    const asked = asksForRightWords(given);
    if (asked === null) warnings.push(MISTRAL_WORDS_WARNING);
    if (asked === true) {
      source = changed(source, { pre_tokenizer: withRightWords(source.json['pre_tokenizer'] as Json) });
      core = loadCore(source, added);
    }
  }
  const encoder = isFilled(args['split_special_tokens']) ? loadCore(...withoutSpecial(source, added)) : core;
  const processor = newPostProcessor(core, { kind, args, special, serialized: source.json['post_processor'] });
  if (processor !== null) for (const each of new Set([core, encoder])) each.setPostProcessor(processor);
  const forced = isFilled(args['clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output']);
  const addedNow = [...source.added, ...added];
  return {
    core,
    encoder,
    addedTokens: new Map(addedNow.map(({ content }) => [content, core.tokenToId(content)!])),
    specialIds: new Set(addedNow.filter(({ isSpecial }) => isSpecial).map(({ content }) => core.tokenToId(content)!)),
    decoder: source.json['decoder'],
    files,
    specialTokens: Object.fromEntries([...special.named].map(([name, token]) => [name, String(token)])),
    cleansUpSpaces: isFilled(args['clean_up_tokenization_spaces']) && (forced || !isBpe(source.json['model'])),
    fillToken: kind === 'CodeLlamaTokenizer' ? (tokenTexts([args['fill_token']])[0] ?? null) : null,
    warnings,
  };
}

/** The class's defaults, under what the directory gives. Padding kept in tokenizer.json names a padding token if nothing else does. */
function constructorArguments(kind: TokenizerClass, given: Arguments, { serialized }: TokenizerFiles): Arguments {
  const args = kind === AS_SERIALIZED ? { ...given } : { ...REBUILT_CLASSES[kind].defaults, ...given };
  const padding = serialized?.json['padding'];
  if (isRecord(padding) && !('pad_token' in args)) args['pad_token'] = padding['pad_token'];
  if (kind !== 'CodeLlamaTokenizer') return args;
  const more = args['additional_special_tokens'] ?? [];
  if (!Array.isArray(more)) throw badTokenizer('additional_special_tokens is not a list', 'CodeLlamaTokenizer adds to it.');
  if (!('extra_special_tokens' in args)) {
    const own = ['prefix_token', 'middle_token', 'suffix_token', 'eot_token', 'fill_token'].map((name) => args[name]);
    args['extra_special_tokens'] = [...more, ...own.filter((token) => token !== null)];
  }
  return args;
}

/** Tokens that the directory declares outside tokenizer.json, those it calls special among them. */
function tokensToAdd({ added }: Source, { named, extra }: NamedTokens, declared: AddedToken[]): AddedToken[] {
  const known = new Set([...added, ...declared].map(String));
  const tokens: NamedToken[] = [...declared];
  for (const token of [...named.values(), ...extra]) {
    if (known.has(String(token))) continue;
    if (!tokens.some((each) => each === token || (each instanceof AddedToken && token instanceof AddedToken && each.equals(token))))
      tokens.push(token);
  }
  const names = new Set([...named.values()].map(String));
  return tokens.map((token) => (typeof token === 'string' ? AddedToken.special(token) : names.has(token.content) ? token.asSpecial() : token));
}

/** @throws Refusal when it is not a tokenizer */
function loadCore({ text, added: serialized }: Source, added: AddedToken[]): Core {
  let core: Core;
  try {
    core = tokenizers.Tokenizer.fromString(text);
  } catch (error) {
    throw badTokenizer(`the model directory's tokenizer cannot be loaded: ${(error as Error).message}`);
  }
  // tokenizer.json keeps the truncation and padding it was last used with; the engine does both itself.
  core.disableTruncation();
  core.disablePadding();
  // The core compares each new token with every one that it has, so those that change nothing are left out.
  const known = new Map(serialized.map((token) => [token.content, token]));
  const news = added.filter((token) => {
    const changes = known.get(token.content)?.equals(token) !== true;
    known.set(token.content, token);
    return changes;
  });
  if (news.length > 0) core.addAddedTokens(news.map((token) => token.forCore()));
  return core;
}

interface PostProcessing {
  kind: TokenizerClass;
  args: Arguments;
  special: NamedTokens;
  /** The post-processor in the tokenizer.json. */
  serialized: unknown;
}

/** @returns what puts bos and eos around a text (`update_post_processor`); null where tokenizer.json decides */
function newPostProcessor(core: Core, { kind, args, special, serialized }: PostProcessing): PostProcessor | null {
  const isAsked = 'add_bos_token' in args || 'add_eos_token' in args || kind === 'GPTNeoXTokenizer';
  if (!isAsked && serialized !== null && serialized !== undefined) return null;
  const edge = (name: 'bos' | 'eos'): string | null => {
    const token = special.named.get(`${name}_token`);
    return isFilled(args[`add_${name}_token`]) && token !== undefined ? String(token) : null;
  };
  const [bos, eos] = [edge('bos'), edge('eos')];
  const sequence = (name: string, type: number) => [bos, `$${name}`, eos].flatMap((part) => (part === null ? [] : [`${part}:${type}`])).join(' ');
  const ids = new Map([bos, eos].flatMap((token): [string, number][] => (token === null ? [] : [[token, core.tokenToId(token)!]])));
  try {
    return tokenizers.templateProcessing(sequence('A', 0), `${sequence('A', 0)} ${sequence('B', 1)}`, [...ids]);
  } catch (error) {
    throw badTokenizer(`bos_token or eos_token cannot be put around a text: ${(error as Error).message}`, 'Name tokens without spaces and colons.');
  }
}

const isBpe = (model: unknown): boolean => isRecord(model) && (model['type'] === 'BPE' || (model['type'] === undefined && 'merges' in model));
