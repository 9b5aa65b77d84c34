/** One tokenised example. */
export interface Example {
  /** Token ids, unpadded. */
  inputIds: Int32Array;
  /** 1 where the token is one to learn (it is the target of the position before it), else 0. Same length. */
  lossMask: Uint8Array;
}

/** Examples laid side by side, padded on the right. Plain arrays: the model makes the tensors. */
export interface Batch {
  rows: number;
  /** Padded length, tokens. */
  length: number;
  /** [rows, length], row-major; the padding's ids are 0. */
  inputIds: Int32Array;
  /** [rows, length]; 1 where a token is real. Causal attention never looks right, so it matters for counting only. */
  attentionMask: Uint8Array;
  /** [rows, length]; 1 where a token is a target. Column 0 is never one: nothing predicts it. */
  lossMask: Uint8Array;
  /** [rows, length]; of each token in its own example, from 0. Missing where each row is one example. */
  positions?: Int32Array;
  /** [rows, length]; which example of the row a token is of. Missing where each row is one example. */
  segments?: Int32Array;
}
