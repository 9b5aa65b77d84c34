/** How large the parts are in which training goes through tokens: the engine follows these rules, and estimates of its memory know them. */

/** Padded tokens of one forward and backward pass: bounds a step's memory, yet keeps matrix kernels busy. A longer example has a pass of its own. */
export const PASS_TOKENS = 1024;
/** Row lengths are rounded up to this multiple, which matrix kernels prefer. */
const LENGTH_MULTIPLE = 8;

export const paddedLength = (length: number): number => Math.ceil(length / LENGTH_MULTIPLE) * LENGTH_MULTIPLE;

/** Logits of a part: 64 MB. A long batch goes through the head in parts, because with a large vocabulary the logits need the most memory. */
const MAX_LOGITS = 16 * 1024 * 1024;
/** Number of parts; those that are not needed are empty and cost nothing. */
const PARTS = 16;
/** Number of parts if the head is trained: each that is not empty reads and writes a gradient as large as the head itself. */
const PARTS_OF_TRAINED_HEAD = 2;

/** @returns into how many parts the tokens with a loss go for the head */
export const headParts = (trainsHead: boolean): number => (trainsHead ? PARTS_OF_TRAINED_HEAD : PARTS);

/** @returns the number of tokens in a part, but for the last, which takes what is left */
export const tokensOfHeadPart = (tokens: number, { vocabSize, parts }: { vocabSize: number; parts: number }): number =>
  Math.max(1, Math.floor(MAX_LOGITS / vocabSize), Math.ceil(tokens / parts));
