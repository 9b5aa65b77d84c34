/** Continues several prompts at once with the model that is trained, greedily: without randomness, the same weights always give the same answers. */
import { PASS_TOKENS, paddedLength } from '../../../src/formats/pass-size.ts';
import { virtualTokensOf } from '../data/packing.ts';
import { yieldToEventLoop } from '../evaluate.ts';
import type { TextMemory, TunedModel } from '../tuning/tuned-model.ts';

/** The logits of a pass are read back from the session: with a vocabulary of 256,000, 32 MB. */
const MAX_ROWS = 32;
/** Tokens of all texts in memory. Keys and values take less than a quarter of what a training pass keeps of a token, unless that keeps checkpoints alone. */
const HELD_TOKENS = 4 * PASS_TOKENS;

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
  model: Pick<TunedModel, 'config' | 'tuning' | 'nextTokens' | 'textMemory'>,
  prompts: readonly Int32Array[],
  { maxTokens, stopTokenIds, onPass, signal }: ContinueOptions,
): Promise<Continued[]> {
  const memory = model.textMemory ?? null;
  const context = model.config.maxPositionTokens - (virtualTokensOf(model)?.count ?? 0);
  const texts = prompts.map((prompt) => ({
    ids: [...prompt],
    promptLength: prompt.length,
    limit: Math.min(prompt.length + maxTokens, context),
    finishReason: null as OpenText['finishReason'],
  }));
  const take = (text: OpenText, id: number): void => {
    if (stopTokenIds.has(id)) text.finishReason = 'stop';
    else if (text.ids.push(id) >= text.limit) text.finishReason = 'length';
  };
  const each = async (pass: () => void): Promise<void> => {
    signal?.throwIfAborted();
    pass();
    await onPass?.();
    await yieldToEventLoop();
  };
  const read = (pass: readonly OpenText[]): void => {
    const next = model.nextTokens(pass.map(({ ids }) => Int32Array.from(ids)));
    for (const [row, text] of pass.entries()) take(text, next[row]!);
  };
  if (memory === null) await readAgain(texts, (pass) => each(() => read(pass)));
  else await remembering(texts, { memory, take, each });
  return texts.map(({ ids, promptLength, finishReason }) => ({ tokenIds: ids.slice(promptLength), finishReason: finishReason! }));
}

interface OpenText {
  ids: number[];
  /** Length at which it ends. */
  limit: number;
  finishReason: Continued['finishReason'] | null;
}

const isOpen = ({ finishReason }: OpenText): boolean => finishReason === null;

/** Every pass reads whole texts. */
async function readAgain(texts: readonly OpenText[], take: (pass: readonly OpenText[]) => Promise<void>): Promise<void> {
  for (let open = texts.filter(isOpen); open.length > 0; open = open.filter(isOpen)) for (const pass of passes(open)) await take(pass);
}

interface Remembering {
  memory: TextMemory;
  take(text: OpenText, id: number): void;
  each(pass: () => void): Promise<void>;
}

/** A text in the model's memory. */
interface HeldText {
  slot: number;
  text: OpenText;
  /** How many of its tokens have been read. */
  seen: number;
}

/** A pass reads what is new of each text, up to PASS_TOKENS tokens. A text joins when others have left room for it. */
async function remembering(texts: readonly OpenText[], { memory, take, each }: Remembering): Promise<void> {
  const waiting = texts.map((text, slot): HeldText => ({ slot, text, seen: 0 }));
  let held: HeldText[] = [];
  const keepOpen = (): void => {
    const ended = held.filter(({ text }) => !isOpen(text));
    if (ended.length > 0) memory.forget(ended.map(({ slot }) => slot));
    held = held.filter(({ text }) => isOpen(text));
  };
  try {
    for (;;) {
      while (waiting.length > 0 && hasRoom(held, waiting[0]!)) held.push(waiting.shift()!);
      if (held.length === 0) break;
      await each(() => {
        let room = PASS_TOKENS;
        const pieces = held.flatMap((one) => {
          const ids = one.text.ids.slice(one.seen, one.seen + room);
          room -= ids.length;
          return ids.length === 0 ? [] : [{ one, piece: { slot: one.slot, ids, position: one.seen } }];
        });
        const next = memory.next(pieces.map(({ piece }) => piece));
        for (const [index, { one, piece }] of pieces.entries()) {
          one.seen += piece.ids.length;
          if (one.seen === one.text.ids.length) take(one.text, next[index]!);
        }
        keepOpen();
      });
    }
  } finally {
    if (held.length > 0) memory.forget(held.map(({ slot }) => slot));
  }
}

/** A text that is longer than all may be is alone. */
function hasRoom(held: readonly HeldText[], next: HeldText): boolean {
  const tokens = [...held, next].reduce((sum, { text }) => sum + text.limit, 0);
  return held.length === 0 || (held.length < MAX_ROWS && tokens <= HELD_TOKENS);
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
