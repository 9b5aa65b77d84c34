/** One tokenised example. */
export interface Example {
  /** Token ids, unpadded. */
  inputIds: Int32Array;
  /** How much each token counts in the loss, as the target of the position before it; 0 where it is only read. Same length. */
  lossWeights: Float32Array;
}

/** Examples laid side by side, padded on the right. Plain arrays: the model makes the tensors. */
export interface Batch {
  rows: number;
  /** Padded length, tokens. */
  length: number;
  /** [rows, length], row-major; the padding's ids are 0. */
  inputIds: Int32Array;
  /** [rows, length]; 0 for padding and in column 0, which nothing predicts. */
  lossWeights: Float32Array;
  /** [rows, length]; of each token in its own example, from 0. Missing where each row is one example. */
  positions?: Int32Array;
  /** [rows, length]; which example of the row a token is of, −1 for padding. Missing where each row is one example. */
  segments?: Int32Array;
}

/** @returns how many tokens are learned */
export function supervisedTokens({ lossWeights }: Pick<Example, 'lossWeights'>): number {
  let count = 0;
  for (const weight of lossWeights) if (weight !== 0) count += 1;
  return count;
}
