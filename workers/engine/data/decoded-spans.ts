import type { FileReceipt } from '../../../src/formats/token-receipt.ts';
import type { Example } from './batch.ts';
import { sequencesIn } from './sequences.ts';
import type { Tokenizer } from './tokenizer.ts';

type Span = FileReceipt['samples'][number]['spans'][number];

/** The decoder's output for a character that lacks some of its bytes. */
const INCOMPLETE = /\uFFFD+$/;

/**
 * An example as text, split into supervised and unsupervised runs. A run ends where the decoding of everything up to it ends, because a run decoded
 * alone may lose what separates it from the one before (a leading space, with SentencePiece). A character whose bytes fall into two runs is shown
 * in the second.
 * @param maxTokens tokens beyond this are not shown
 */
export async function decodeSpans(example: Example, tokenizer: Tokenizer, maxTokens: number): Promise<Span[]> {
  const spans: Span[] = [];
  let left = maxTokens;
  for (const sequence of sequencesIn(example)) {
    if (left <= 0) break;
    const [first, ...rest] = await decodeSequence(sequence, tokenizer, left);
    if (first !== undefined) spans.push(spans.length === 0 ? first : { ...first, starts_text: true }, ...rest);
    left -= sequence.inputIds.length;
  }
  return spans;
}

async function decodeSequence({ inputIds, lossWeights }: Example, tokenizer: Tokenizer, maxTokens: number): Promise<Span[]> {
  const length = Math.min(inputIds.length, maxTokens);
  const whole = await tokenizer.decode(inputIds.subarray(0, length), { specialTokens: true });
  const isSupervised = (at: number): boolean => lossWeights[at] !== 0;
  const spans: Span[] = [];
  let shown = 0;
  for (let start = 0; start < length; ) {
    let end = start + 1;
    while (end < length && isSupervised(end) === isSupervised(start)) end += 1;
    const upTo = end === length ? whole : (await tokenizer.decode(inputIds.subarray(0, end), { specialTokens: true })).replace(INCOMPLETE, '');
    const textEnd = Math.max(shown, Math.min(upTo.length, whole.length));
    spans.push({ text: whole.slice(shown, textEnd), supervised: isSupervised(start) });
    shown = textEnd;
    start = end;
  }
  return spans;
}
