import type { Teacher } from './teacher.ts';

/** One tokenised example. */
export interface Example {
  /** Token ids, unpadded. */
  inputIds: Int32Array;
  /** Weight of each token in the loss, as the target of the position before it; 0 for context, negative in an answer labelled as bad. Same length. */
  lossWeights: Float32Array;
  /** Where independent sequences begin in inputIds, from 0 on; none sees another. Missing when the example is one sequence. */
  starts?: Int32Array;
  /** Log-probability of each sequence's answer under the reference model, if it was computed before training. */
  reference?: Float32Array;
  /** What a teacher thinks of its tokens, where the objective learns from one. */
  teacher?: Teacher;
  /** Its prompt with the answer of another example, where the objective compares with that too. */
  mismatched?: Example;
}

/** Rows of examples, padded on the right. Plain arrays: the model makes the tensors. */
export interface Batch {
  rows: number;
  /** Padded length in tokens. */
  length: number;
  /** [rows, length], row-major; padding has id 0. */
  inputIds: Int32Array;
  /** [rows, length]; 0 for padding and for the first token of each example, which nothing predicts. */
  lossWeights: Float32Array;
  /** [rows, length]; each token's position in its example, from 0. Missing when each row is one example. */
  positions?: Int32Array;
  /** [rows, length]; the index in the row of each token's example, −1 for padding. Missing when each row is one example. */
  segments?: Int32Array;
  /**
   * [rows, length]; the index in the pass of each token's sequence, −1 for padding: those of an example follow each other. Only where all sequences of an
   * example are in one pass.
   */
  sequences?: Int32Array;
  /** [sequences]; log-probability of each answer under the reference model, if it was computed before training. */
  reference?: Float32Array;
  /** What a teacher thinks of its tokens, at their places in [rows, length]. Missing where no example has one. */
  teacher?: Teacher;
  /** The sequences that each row holds, in order. Missing where the arrays were not laid out from sequences. */
  contents?: readonly (readonly Example[])[];
  /** Of the whole step that the pass belongs to, for an objective that needs means over a step's tokens. */
  totals?: Readonly<Record<string, number>>;
}

/** @returns the number of tokens, without padding */
export const tokensIn = (examples: readonly Pick<Example, 'inputIds'>[]): number => examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0);

/** @returns the number of tokens that count in the loss */
export function supervisedTokens({ lossWeights }: Pick<Example, 'lossWeights'>): number {
  let count = 0;
  for (const weight of lossWeights) if (weight !== 0) count += 1;
  return count;
}
