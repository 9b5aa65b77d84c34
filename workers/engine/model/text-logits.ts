import { layOut } from '../data/batches.ts';
import { fedText } from '../data/packing.ts';
import type { LogitsOptions, TunedModel } from '../tuning/tuned-model.ts';
import type { GridContent } from './token-grid.ts';

/** The logits at positions of a grid. @param positions in [rows · length] @returns [positions, vocab], row-major */
export type LogitsAt = (content: GridContent, positions: Int32Array) => Float32Array;

type Model = Pick<TunedModel, 'config' | 'tuning'>;

/** @returns [vocab], the logits of the token after a text */
export function nextTokenLogits(model: Model, logitsAt: LogitsAt, text: Int32Array, options: LogitsOptions): Float32Array {
  const inputIds = fedText(model, text, options);
  return logitsAt({ rows: 1, length: inputIds.length, inputIds }, Int32Array.of(inputIds.length - 1));
}

/** @returns [length, vocab], row-major, without those of the tokens that a method puts before the text */
export function allLogits(model: Model, logitsAt: LogitsAt, text: Int32Array): Float32Array {
  const inputIds = fedText(model, text);
  const positions = text.map((_, position) => inputIds.length - text.length + position);
  return logitsAt({ rows: 1, length: inputIds.length, inputIds }, positions);
}

/** The most probable token after each text, of equally probable ones the first. */
export function nextTokens(model: Model, logitsAt: LogitsAt, texts: readonly Int32Array[]): Int32Array {
  const { vocabSize } = model.config;
  const fed = texts.map((text) => fedText(model, text));
  const batch = layOut(fed.map((inputIds) => [{ inputIds, lossWeights: new Float32Array(inputIds.length) }]));
  const logits = logitsAt(
    batch,
    Int32Array.from(fed, ({ length }, row) => row * batch.length + length - 1),
  );
  return Int32Array.from(fed, (_, row) => largest(logits.subarray(row * vocabSize, (row + 1) * vocabSize)));
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}
