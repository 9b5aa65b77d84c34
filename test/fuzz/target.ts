/** A parser under test, as a row of the table. */
import type { Random } from '../random.ts';

export interface Target {
  name: string;
  /** Of one input, in seconds of processor time. */
  limitSeconds?: number;
  open(): Promise<OpenTarget> | OpenTarget;
}

export interface OpenTarget {
  /** @returns an input: mutated out of a valid one, or random */
  make(random: Random): string | Uint8Array;
  /** Throws what the parser throws. */
  read(input: string | Uint8Array): unknown;
  /** Whether the parser refused the input as it should. */
  isRefusal(error: unknown): boolean;
  close?(): Promise<void>;
}
