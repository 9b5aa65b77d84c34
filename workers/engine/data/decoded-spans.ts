import type { FileReceipt } from '../../../src/formats/token-receipt.ts';
import type { Example } from './batch.ts';
import type { Tokenizer } from './tokenizer.ts';

type Span = FileReceipt['samples'][number]['spans'][number];

/** What a decoder writes for a character of which it has only some of the bytes. */
const UNFINISHED = /\uFFFD+$/;

/**
 * An example as text, in runs of tokens that are learned or not. Each run ends where the decoding of everything up to it does, because a run decoded by
 * itself may lose what stands between it and the one before (a leading space, with SentencePiece). A character whose bytes lie in two runs is shown in
 * the second.
 * @param maxTokens what is beyond is not shown
 */
export async function decodeSpans({ inputIds, lossWeights }: Example, tokenizer: Tokenizer, maxTokens: number): Promise<Span[]> {
  const length = Math.min(inputIds.length, maxTokens);
  const whole = await tokenizer.decode(inputIds.subarray(0, length), { specialTokens: true });
  const isLearned = (at: number): boolean => lossWeights[at] !== 0;
  const spans: Span[] = [];
  let shown = 0;
  for (let start = 0; start < length; ) {
    let end = start + 1;
    while (end < length && isLearned(end) === isLearned(start)) end += 1;
    const upTo = end === length ? whole : (await tokenizer.decode(inputIds.subarray(0, end), { specialTokens: true })).replace(UNFINISHED, '');
    const textEnd = Math.max(shown, Math.min(upTo.length, whole.length));
    spans.push({ text: whole.slice(shown, textEnd), supervised: isLearned(start) });
    shown = textEnd;
    start = end;
  }
  return spans;
}
