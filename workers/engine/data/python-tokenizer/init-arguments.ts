/** The arguments with which `from_pretrained` constructs a tokenizer's class: `_from_pretrained` in transformers' `tokenization_utils_base.py`. */
import { SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE } from '../../../../src/formats/model-files.ts';
import { isRecord } from '../../../../src/formats/record.ts';
import { AddedToken, convertTokens } from './added-token.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

/** Keyword arguments, by name. */
export type Arguments = Record<string, unknown>;

export const SPECIAL_NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

export const isSpecialName = (name: string): boolean => (SPECIAL_NAMES as readonly string[]).includes(name);

export interface InitArguments {
  given: Arguments;
  /** To be added, in this order. Their ids in the files only order them; each gets the vocabulary's id, or else the next free one. */
  addedTokens: AddedToken[];
}

/** @throws Refusal for what Python refuses */
export function initArguments(files: TokenizerFiles): InitArguments {
  const given: Arguments = { ...files.config };
  delete given['tokenizer_class'];
  if (files.serialized !== null) {
    // The post-processor in tokenizer.json decides.
    delete given['add_bos_token'];
    delete given['add_eos_token'];
  }
  if ('additional_special_tokens' in given && !isFilled(given['extra_special_tokens'])) {
    given['extra_special_tokens'] = given['additional_special_tokens'];
    delete given['additional_special_tokens'];
  }
  takeModelsOwn(given);
  const added: Declared = { byId: new Map(), byContent: new Map() };
  if ('added_tokens_decoder' in given) readDecoder(given['added_tokens_decoder'], added);
  else readOlderFiles(files, given, added);
  delete given['added_tokens_decoder'];

  const converted = convertTokens(given, TOKENIZER_CONFIG_FILE) as Arguments;
  for (const name of SPECIAL_NAMES) {
    const value = converted[name];
    if (typeof value === 'string' || value instanceof AddedToken) converted[name] = added.byContent.get(String(value)) ?? value;
  }
  const addedTokens = [...added.byId].sort(([a], [b]) => a - b).map(([, token]) => token);
  return { given: converted, addedTokens };
}

interface Declared {
  byId: Map<number, AddedToken>;
  /** Also of tokens whose id another one took later. */
  byContent: Map<string, AddedToken>;
}

function declare({ byId, byContent }: Declared, id: number, token: AddedToken): void {
  byId.set(id, token);
  byContent.set(token.content, token);
}

/** Python's truth. */
export const isFilled = (value: unknown): boolean =>
  isRecord(value) ? Object.keys(value).length > 0 : Array.isArray(value) ? value.length > 0 : Boolean(value);

/** `image_token` and other names of the model's own, and named extra tokens, become one argument. */
function takeModelsOwn(given: Arguments): void {
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (isSpecialName(name) || !name.endsWith('_token') || typeof value !== 'string') continue;
    own[name] = value;
    delete given[name];
  }
  if (isRecord(given['extra_special_tokens'])) {
    Object.assign(own, given['extra_special_tokens']);
    delete given['extra_special_tokens'];
  }
  if (Object.keys(own).length > 0) given['model_specific_special_tokens'] = own;
}

function readDecoder(decoder: unknown, added: Declared): void {
  const where = `added_tokens_decoder in ${TOKENIZER_CONFIG_FILE}`;
  if (!isRecord(decoder)) throw badTokenizer(`${where} is not an object`, 'It maps ids to tokens.');
  for (const [id, token] of Object.entries(decoder)) {
    if (!/^\s*[-+]?\d+\s*$/.test(id)) throw badTokenizer(`${where} has the id ${JSON.stringify(id)}`, 'Ids are whole numbers.');
    if (!isRecord(token))
      throw badTokenizer(`${where} has ${JSON.stringify(token)} for the id ${id}`, 'Write the token as an object with its content.');
    declare(added, Number(id), AddedToken.fromJson(token, where));
  }
}

/** The texts of those that are tokens: what else a file declares is refused elsewhere. */
export const tokenTexts = (values: readonly unknown[]): string[] =>
  values.flatMap((value) => (isFilled(value) && (typeof value === 'string' || value instanceof AddedToken) ? [String(value)] : []));

/** Without `added_tokens_decoder`, which transformers has written since 2023: the files that came before it, then tokenizer.json. */
function readOlderFiles({ specialTokensMap, addedTokens, serialized }: TokenizerFiles, given: Arguments, added: Declared): void {
  for (const [name, value] of Object.entries(specialTokensMap)) {
    if (name === 'extra_special_tokens' && Array.isArray(value)) given[name] = joinExtra(given[name], value);
    else if (isRecord(value) && name !== 'extra_special_tokens') given[name] = AddedToken.fromJson({ ...value, special: true }, SPECIAL_TOKENS_FILE);
    else given[name] = value;
  }
  if (isRecord(given['extra_special_tokens'])) {
    given['model_specific_special_tokens'] = { ...(given['model_specific_special_tokens'] as object), ...given['extra_special_tokens'] };
    delete given['extra_special_tokens'];
  }
  const special = new Set(SPECIAL_NAMES.flatMap((name) => tokenTexts([given[name]])));
  const extra = given['extra_special_tokens'];
  if (Array.isArray(extra)) for (const token of tokenTexts(extra)) special.add(token);
  for (const [content, id] of Object.entries(addedTokens)) {
    const isSpecial = special.has(content);
    declare(added, Number(id), AddedToken.fromJson({ content, normalized: !isSpecial, special: isSpecial }, 'added_tokens.json'));
  }
  if (serialized === null) return;
  for (const { id, token } of serializedTokens(serialized.json['added_tokens'], serialized.path)) declare(added, id, token);
}

function joinExtra(existing: unknown, more: unknown[]): unknown[] {
  const joined: unknown[] = Array.isArray(existing) ? [...existing] : [];
  for (const value of more) {
    if (isRecord(value) && 'special' in value)
      throw badTokenizer(
        `${SPECIAL_TOKENS_FILE} says of a token in extra_special_tokens whether it is special`,
        'Leave "special" out: they all are.',
      );
    const token = isRecord(value) ? AddedToken.fromJson({ ...value, special: true }, SPECIAL_TOKENS_FILE) : value;
    const isKnown = joined.some((each) => each === token || (each instanceof AddedToken && token instanceof AddedToken && each.equals(token)));
    if (!isKnown) joined.push(token);
  }
  return joined;
}

/** `added_tokens` of a tokenizer.json. */
export function serializedTokens(tokens: unknown, path: string): { id: number; token: AddedToken }[] {
  if (!Array.isArray(tokens)) throw badTokenizer(`${path} has no list of added_tokens`, 'Write an empty list if there are none.');
  return tokens.map((token: unknown) => {
    if (!isRecord(token) || typeof token['id'] !== 'number') throw badTokenizer(`${path} has ${JSON.stringify(token)} in added_tokens`);
    return { id: token['id'], token: AddedToken.fromJson(token, path) };
  });
}
