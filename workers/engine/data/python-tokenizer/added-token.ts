/** A token that is found in text as it is, before the text is split into words: `AddedToken` in Python. */
import tokenizers from 'tokenizers';
import { isRecord } from '../../../../src/formats/record.ts';
import { badTokenizer } from './bad-tokenizer.ts';

const FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;

type Flags = Partial<Record<(typeof FLAGS)[number], boolean>>;

export class AddedToken {
  constructor(
    readonly content: string,
    private readonly flags: Flags,
  ) {}

  /** @param where the file and field, for messages. Unknown keys are ignored, as in Python */
  static fromJson(json: Readonly<Record<string, unknown>>, where: string): AddedToken {
    const content = json['content'] ?? '';
    if (typeof content !== 'string') throw badTokenizer(`${where} has a token whose content is ${JSON.stringify(content)}`, 'Write it as a string.');
    const flags: Flags = {};
    for (const flag of FLAGS) {
      const value = json[flag];
      if (value === undefined || (value === null && flag === 'normalized')) continue;
      if (typeof value !== 'boolean')
        throw badTokenizer(`${where}: ${flag} of ${JSON.stringify(content)} is ${JSON.stringify(value)}`, 'Write true or false.');
      flags[flag] = value;
    }
    return new AddedToken(content, flags);
  }

  static special(content: string): AddedToken {
    return new AddedToken(content, { special: true });
  }

  get isSpecial(): boolean {
    return this.flags.special ?? false;
  }

  /** The same token, special. Whether it is found in the normalised text follows from that, unless it was said. */
  asSpecial(): AddedToken {
    return new AddedToken(this.content, { ...this.flags, special: true });
  }

  /** The same flags under another text. */
  named(content: string): AddedToken {
    return new AddedToken(content, this.flags);
  }

  equals(other: AddedToken): boolean {
    return this.content === other.content && FLAGS.every((flag) => this.#resolved(flag) === other.#resolved(flag));
  }

  forCore(): InstanceType<typeof tokenizers.AddedToken> {
    return new tokenizers.AddedToken(this.content, this.isSpecial, {
      singleWord: this.#resolved('single_word'),
      leftStrip: this.#resolved('lstrip'),
      rightStrip: this.#resolved('rstrip'),
      normalized: this.#resolved('normalized'),
    });
  }

  toString(): string {
    return this.content;
  }

  #resolved(flag: (typeof FLAGS)[number]): boolean {
    return this.flags[flag] ?? (flag === 'normalized' ? !this.isSpecial : false);
  }
}

/** A token as the configuration names it. */
export type NamedToken = string | AddedToken;

export const isNamedToken = (value: unknown): value is NamedToken => typeof value === 'string' || value instanceof AddedToken;

/** Objects marked `"__type": "AddedToken"` become tokens, at any depth (`convert_added_tokens`). */
export function convertTokens(value: unknown, where: string): unknown {
  if (Array.isArray(value)) return value.map((each) => convertTokens(each, where));
  if (!isRecord(value) || value instanceof AddedToken) return value;
  if (value['__type'] === 'AddedToken') return AddedToken.fromJson(value, where);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, convertTokens(each, where)]));
}
