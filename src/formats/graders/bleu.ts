import { countNGrams, overlap, wordsOf } from './words.ts';

const MAX_ORDER = 4;

/**
 * BLEU of one sentence against one reference (Papineni et al. 2002) as sacrebleu computes it: tokens of `13a`, exponential smoothing, and the orders that
 * the sentence is long enough for.
 * @returns from 0 to 1
 */
export function bleu(input: string, reference: string): number {
  const [words, expected] = [tokens13a(input), tokens13a(reference)];
  const correct = orders.map((n) => overlap(countNGrams(words, n), countNGrams(expected, n)));
  if (correct.every((count) => count === 0)) return 0;
  let [smoothing, logSum, order] = [1, 0, 0];
  for (const n of orders) {
    const total = words.length - n + 1;
    if (total <= 0) break;
    order = n;
    const found = correct[n - 1]!;
    if (found === 0) smoothing *= 2;
    logSum += Math.log(found === 0 ? 1 / (smoothing * total) : found / total);
  }
  const brevity = words.length < expected.length ? Math.exp(1 - expected.length / words.length) : 1;
  return Math.min(1, brevity * Math.exp(logSum / order)); // rounding may carry it past 1
}

const orders = Array.from({ length: MAX_ORDER }, (_, index) => index + 1);

/** The tokenizer of mteval-v13a, which sacrebleu uses. */
function tokens13a(text: string): string[] {
  const line = text
    .replaceAll('<skipped>', '')
    .replaceAll('-\n', '')
    .replaceAll('\n', ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>');
  const spaced = ` ${line} `
    .replace(/([{-~[-` -&(-+:-@/])/gu, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/gu, '$1 $2 ');
  return wordsOf(spaced);
}
