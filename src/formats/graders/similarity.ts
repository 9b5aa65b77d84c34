/** The metrics that compare two texts without another model. Each gives 0 to 1. */
import { bleu } from './bleu.ts';
import { commonSubsequence } from './common-subsequence.ts';
import { countNGrams, overlap, wordsOf } from './words.ts';

export const METRICS = {
  fuzzy_match: fuzzyMatch,
  bleu,
  gleu,
  rouge_1: rouge(1),
  rouge_2: rouge(2),
  rouge_3: rouge(3),
  rouge_4: rouge(4),
  rouge_5: rouge(5),
  rouge_l: rougeL,
} as const satisfies Record<string, (input: string, reference: string) => number>;

export type Metric = keyof typeof METRICS;

/** Twice the longest common subsequence of characters over both lengths, as rapidfuzz's `fuzz.ratio`. */
function fuzzyMatch(input: string, reference: string): number {
  const [a, b] = [[...input], [...reference]];
  const length = a.length + b.length;
  return length === 0 ? 1 : (2 * commonSubsequence(a, b)) / length;
}

/** GLEU of one sentence (Wu et al. 2016, §5.2) over words, as NLTK's `sentence_gleu`: the smaller of precision and recall of all 1- to 4-grams. */
function gleu(input: string, reference: string): number {
  const [words, expected] = [wordsOf(input), wordsOf(reference)];
  let [common, mine, theirs] = [0, 0, 0];
  for (let n = 1; n <= 4; n++) {
    common += overlap(countNGrams(words, n), countNGrams(expected, n));
    mine += Math.max(0, words.length - n + 1);
    theirs += Math.max(0, expected.length - n + 1);
  }
  return common === 0 ? 0 : common / Math.max(mine, theirs);
}

/** The F-measure of n-grams (Lin 2004), as Google's rouge-score without its stemmer. */
function rouge(n: number): (input: string, reference: string) => number {
  return (input, reference) => {
    const [words, expected] = [asciiWords(input), asciiWords(reference)];
    const common = overlap(countNGrams(words, n), countNGrams(expected, n));
    return fMeasure(common, words.length - n + 1, expected.length - n + 1);
  };
}

/** The F-measure of the longest common subsequence of words. */
function rougeL(input: string, reference: string): number {
  const [words, expected] = [asciiWords(input), asciiWords(reference)];
  return fMeasure(commonSubsequence(words, expected), words.length, expected.length);
}

/** rouge-score knows the letters a to z and digits, in lower case, and nothing else. */
const asciiWords = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

function fMeasure(common: number, mine: number, theirs: number): number {
  if (common === 0) return 0;
  const [precision, recall] = [common / mine, common / theirs];
  return (2 * precision * recall) / (precision + recall);
}
