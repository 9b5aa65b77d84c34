/** What computes the logits after texts: the seam between the scheduling of sequences and the model's maths. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';

/** The next tokens of one text. */
export interface NewTokens {
  /** Names the text, from its first token until `release`. */
  slot: number;
  /** The text so far. */
  tokens: Int32Array | readonly number[];
  /** Number of its tokens that earlier passes have seen; the pass computes the others, or some of them. */
  seen: number;
  /** What `addAdapter` called the text's adapter; null for the base model. */
  adapter: number | null;
}

export interface TokenPasses {
  readonly config: ModelConfig;
  /** Most tokens of one call of `read`: other texts wait as long as it takes. */
  readonly readTokens: number;
  /**
   * Reads more of one text, from `seen` up to `end`.
   * @returns [vocab], the logits after token `end` − 1
   */
  read(text: NewTokens, end: number): Float32Array;
  /**
   * One more token of each of several texts, all of whose other tokens were read.
   * @returns [vocab] for each
   */
  next(texts: readonly NewTokens[]): Float32Array[];
  /** Whether what was read of a text no longer holds now that it has this length, so that it must be read again. */
  isOutdated(seen: number, length: number): boolean;
  /** Forgets a text. */
  release(slot: number): void;
  /** @returns a number that was never used before. @throws Refusal `unsupported_adapter`, `corrupt_model_file` */
  addAdapter(dir: string): number;
  /** How many virtual tokens an adapter puts before a text, which the model's context holds too. */
  virtualTokens(adapter: number): number;
  removeAdapter(adapter: number): void;
  memoryBytes(): number;
  dispose(): void;
}
