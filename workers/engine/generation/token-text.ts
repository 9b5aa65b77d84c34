/** Turns the tokens of an answer into text as they come, whole characters only: what is given out together is what decoding all tokens at once gives. */
import type { Tokenizer } from '../data/tokenizer.ts';

/** The decoder ends a text with this when its last character lacks some bytes. Characters just before may also be unreadable until it is complete. */
const INCOMPLETE = '\uFFFD';
/** After so many tokens, bytes that complete no character are given out as they are: a character has at most four bytes. */
const MAX_OPEN_TOKENS = 8;

export class TokenText {
  readonly #tokenizer: Tokenizer;
  /** The last tokens whose text was given out, because how a token is decoded depends on the one before it, and the tokens since. */
  #window: number[] = [];
  /** Tokens of the window whose text was given out. */
  #closed = 0;
  /** Length of the window's text that was given out. */
  #given = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Whether all text so far was given out. */
  get isComplete(): boolean {
    return this.#closed === this.#window.length;
  }

  /** @returns the text that the token completes; empty for special tokens and within a character */
  async push(id: number): Promise<string> {
    // A special token has no text. Between two tokens that have, it would make the second one the beginning of a text, which loses its space.
    if (this.#tokenizer.isSpecialToken(id)) return '';
    this.#window.push(id);
    const text = await this.#tokenizer.decode(this.#window);
    if (text.endsWith(INCOMPLETE) && this.#window.length - this.#closed < MAX_OPEN_TOKENS) return '';
    const given = text.slice(this.#given);
    this.#window = this.#window.slice(this.#closed);
    this.#closed = this.#window.length;
    this.#given = (await this.#tokenizer.decode(this.#window)).length;
    return given;
  }

  /** @returns the text of bytes that no token has completed */
  async end(): Promise<string> {
    if (this.isComplete) return '';
    this.#closed = this.#window.length;
    return (await this.#tokenizer.decode(this.#window)).slice(this.#given);
  }
}
