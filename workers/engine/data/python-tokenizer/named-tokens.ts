/** Special tokens by name, and those without one: the part of `PreTrainedTokenizerBase.__init__` that reads them. */
import { isRecord } from '../../../../src/formats/record.ts';
import { isNamedToken, type NamedToken } from './added-token.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import { type Arguments, isSpecialName, SPECIAL_NAMES } from './init-arguments.ts';

export interface NamedTokens {
  /** In Python's order: the seven usual names, then the model's own. Without those that are not set. */
  named: Map<string, NamedToken>;
  extra: NamedToken[];
}

/** @throws Refusal for a token that is neither text nor a token */
export function namedTokens(args: Arguments): NamedTokens {
  const usual = new Map<string, NamedToken>();
  const own = new Map<string, NamedToken>();
  const detected = new Map<string, NamedToken>();
  const explicit = new Map<string, NamedToken>();
  const list = args['extra_special_tokens'] === undefined ? args['additional_special_tokens'] : args['extra_special_tokens'];
  if (isRecord(list)) setOwn(list, own);
  const given = args['model_specific_special_tokens'] ?? {};
  if (!isRecord(given)) throw badTokenizer('model_specific_special_tokens is not an object', 'It maps names to tokens.');
  setOwn(given, explicit);
  for (const [name, value] of Object.entries(args)) {
    if (isSpecialName(name)) {
      if (value !== null) usual.set(name, tokenOf(name, value));
    } else if (name.endsWith('_token') && isNamedToken(value)) {
      detected.set(name, value);
    }
  }
  const inOrder = SPECIAL_NAMES.flatMap((name): [string, NamedToken][] => (usual.has(name) ? [[name, usual.get(name)!]] : []));
  return { named: new Map([...inOrder, ...own, ...detected, ...explicit]), extra: extraTokens(list) };
}

function setOwn(tokens: Record<string, unknown>, into: Map<string, NamedToken>): void {
  for (const [name, value] of Object.entries(tokens)) into.set(name, tokenOf(name, value));
}

function extraTokens(list: unknown): NamedToken[] {
  if (list === undefined || list === null || isRecord(list)) return [];
  if (!Array.isArray(list)) throw badTokenizer(`extra_special_tokens is ${JSON.stringify(list)}`, 'Write a list of tokens.');
  return list.map((token) => tokenOf('extra_special_tokens', token));
}

function tokenOf(name: string, value: unknown): NamedToken {
  if (isNamedToken(value)) return value;
  throw badTokenizer(
    `the special token ${name} is ${JSON.stringify(value)}, which is not a token`,
    'Write it as a string, or as an object with "__type": "AddedToken" and its content.',
  );
}

/** Every special token's text once: named, then extra (`all_special_tokens`). */
export const allSpecial = ({ named, extra }: NamedTokens): string[] => [...new Set([...named.values(), ...extra].map(String))];
