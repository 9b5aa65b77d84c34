/** Shows that a merged model predicts what its base with the adapter does. */
import type { MergeProof } from '../../../src/formats/merge-proof.ts';
import type { WeightsDtype } from '../../../src/formats/stored-dtype.ts';
import { openForInference } from '../compiled/open-model.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import type { TunedFiles } from './merged-weights.ts';

/** Of several scripts and kinds, because no data of the job is at hand. */
const TEXTS = [
  'The gardener cut a graft from the old tree and grew it onto the young one.',
  'Question: what is 12 + 30?\nAnswer:',
  'def add(a, b):\n    return a + b\n',
  'Un café à Zürich, 你好，世界, Привет.',
];
/** Most of a text's tokens, so that a tokenizer of bytes does not make it long. */
const MAX_TOKENS = 64;

/**
 * Largest distance of the logits from those of base and adapter, as a share of their length. Sums in another order make the difference in f32; rounding
 * each weight to 11 or 8 bits makes it in f16 and bf16.
 */
const TOLERANCE: Readonly<Record<WeightsDtype, number>> = { F32: 1e-3, F16: 2e-2, BF16: 1e-1 };

/** Holds one model at a time in memory. */
export async function proveMerge(files: TunedFiles, mergedDir: string, dtype: WeightsDtype): Promise<MergeProof> {
  const tokenizer = await Tokenizer.open(files.modelDir);
  const prompts = await Promise.all(TEXTS.map(async (text) => (await tokenizer.encode(text, { addSpecialTokens: true })).ids.slice(0, MAX_TOKENS)));
  const { modelDir, adapterDir } = files;
  const expected = logitsOf({ modelDir, ...(adapterDir !== null && { adapterDir }) }, prompts);
  const merged = logitsOf({ modelDir: mergedDir }, prompts);
  const differences = expected.map((logits, index) => relativeDistance(merged[index]!, logits));
  const largest = differences.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a), 0);
  return { prompts: prompts.length, difference: largest, tolerance: TOLERANCE[dtype], passed: largest <= TOLERANCE[dtype] };
}

function logitsOf(dirs: { modelDir: string; adapterDir?: string }, prompts: readonly Int32Array[]): Float32Array[] {
  const model = openForInference(dirs);
  try {
    return prompts.map((ids) => model.nextTokenLogits(ids));
  } finally {
    model.dispose();
  }
}

/** ‖a − b‖ / ‖b‖ */
function relativeDistance(a: Float32Array, b: Float32Array): number {
  const square = (value: number): number => value * value;
  return Math.sqrt(a.reduce((sum, value, i) => sum + square(value - b[i]!), 0) / b.reduce((sum, value) => sum + square(value), 0));
}
