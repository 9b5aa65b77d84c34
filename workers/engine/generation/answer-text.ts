/** An answer as its tokens come: pieces of whole characters that no stop text can take back, each with its tokens. */
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ChosenProbability, GeneratedPiece } from './contract.ts';
import { StopTexts } from './stop-texts.ts';
import { TokenText } from './token-text.ts';

/**
 * In place of a NUL, as for bytes that are no character: neither a conversation that goes on nor a database takes one. What a token was stands in its
 * bytes.
 */
const REPLACEMENT = '\uFFFD';

interface HeldToken {
  id: number;
  probability: ChosenProbability | null;
  /** Where its text begins and ends in the answer; the end is null until its last character is complete. */
  start: number;
  end: number | null;
}

export class AnswerText {
  readonly #tokenText: TokenText;
  readonly #stops: StopTexts;
  /** Tokens of which no piece has all the text yet. */
  #held: HeldToken[] = [];
  /** Length of the text decoded so far. */
  #decoded = 0;
  /** Length of the text given out in pieces. */
  #released = 0;

  constructor(tokenizer: Tokenizer, stop: readonly string[]) {
    this.#tokenText = new TokenText(tokenizer);
    this.#stops = new StopTexts(stop);
  }

  /**
   * @param probability null if none is reported
   * @returns null if the token completes nothing. Once a stop text is met, the piece is the last one, and tokens of the stop text alone are not in it
   */
  async push(id: number, probability: ChosenProbability | null): Promise<{ piece: GeneratedPiece | null; stopped: boolean }> {
    const decoded = await this.#tokenText.push(id);
    this.#held.push({ id, probability, start: this.#decoded, end: null });
    this.#decoded += decoded.length;
    if (this.#tokenText.isComplete) for (const token of this.#held) token.end ??= this.#decoded;
    const { text, stopped } = this.#stops.push(decoded);
    const released = this.#released + text.length;
    const piece = this.#release(text, ({ start, end }) => (stopped ? start < released : end !== null && end <= released));
    return { piece, stopped };
  }

  /** @returns what is still held back, once no more tokens come */
  async end(): Promise<GeneratedPiece | null> {
    const { text, stopped } = this.#stops.push(await this.#tokenText.end());
    return this.#release(stopped ? text : text + this.#stops.end(), () => true);
  }

  #release(text: string, isDone: (token: HeldToken) => boolean): GeneratedPiece | null {
    this.#released += text.length;
    const first = this.#held.findIndex((token) => !isDone(token));
    const tokens = this.#held.splice(0, first === -1 ? this.#held.length : first);
    if (text === '' && tokens.length === 0) return null;
    const logprobs = tokens.flatMap(({ probability }) => (probability === null ? [] : [probability]));
    return { text: text.replaceAll('\0', REPLACEMENT), tokenIds: tokens.map(({ id }) => id), logprobs };
  }
}
