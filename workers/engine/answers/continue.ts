/** Continues several prompts at once with the model that is trained, greedily: without randomness, the same weights always give the same answers. */
import { PASS_TOKENS, paddedLength } from '../../../src/formats/pass-size.ts';
import { virtualTokensOf } from '../data/packing.ts';
import { yieldToEventLoop } from '../evaluate.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';

/** The logits of a pass are read back from the session: with a vocabulary of 256,000, 32 MB. */
const MAX_ROWS = 32;

export interface Continued {
  tokenIds: number[];
  /** `stop`: the model ended the text; `length`: maxTokens or the model's context did. */
  finishReason: 'stop' | 'length';
}

interface ContinueOptions {
  maxTokens: number;
  /** End a text, and are not part of it. */
  stopTokenIds: ReadonlySet<number>;
  /** Called after each pass. */
  onPass?: (() => void | Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** @throws the signal's reason once it is aborted */
export async function continueGreedily(
  model: Pick<TunedModel, 'config' | 'tuning' | 'nextTokens'>,
  prompts: readonly Int32Array[],
  { maxTokens, stopTokenIds, onPass, signal }: ContinueOptions,
): Promise<Continued[]> {
  const context = model.config.maxPositionTokens - (virtualTokensOf(model)?.count ?? 0);
  const texts = prompts.map((prompt) => ({
    ids: [...prompt],
    promptLength: prompt.length,
    limit: Math.min(prompt.length + maxTokens, context),
    finishReason: null as Continued['finishReason'] | null,
  }));
  for (;;) {
    const open = texts.filter(({ finishReason }) => finishReason === null);
    if (open.length === 0) break;
    for (const pass of passes(open)) {
      signal?.throwIfAborted();
      const next = model.nextTokens(pass.map(({ ids }) => Int32Array.from(ids)));
      for (const [row, text] of pass.entries()) {
        const id = next[row]!;
        if (stopTokenIds.has(id)) text.finishReason = 'stop';
        else if (text.ids.push(id) >= text.limit) text.finishReason = 'length';
      }
      await onPass?.();
      await yieldToEventLoop();
    }
  }
  return texts.map(({ ids, promptLength, finishReason }) => ({ tokenIds: ids.slice(promptLength), finishReason: finishReason! }));
}

/** Texts that are continued together: as many as a training pass has tokens, or one that is longer, so that memory does not grow. */
function passes<T extends { ids: readonly number[] }>(texts: readonly T[]): T[][] {
  const grouped: T[][] = [];
  for (const text of texts.toSorted((a, b) => b.ids.length - a.ids.length)) {
    const pass = grouped.at(-1);
    const fits = pass !== undefined && pass.length < MAX_ROWS && (pass.length + 1) * paddedLength(pass[0]!.ids.length) <= PASS_TOKENS;
    if (fits) pass.push(text);
    else grouped.push([text]);
  }
  return grouped;
}
