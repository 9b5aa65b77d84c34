import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { TokenGrid } from '../model/decoder.ts';
import { dependsOnLength } from '../model/rope.ts';
import { rotariesOf } from '../model/token-grid.ts';
import type { Tensor1D, Tensor2D } from '../tensorflow/tensorflow.ts';
import type { Recorder } from './recording/recorder.ts';

/** Names of what is fed. */
interface RowFeeds {
  inputIds: string;
  positions: string;
  slots: string;
  frequencies(index: number): string;
}

/** Declares a grid whose rows are one token each, because texts differ in their lengths. @param tokens the number of rows */
export function tokenRows(recorder: Recorder, { config, tokens, feeds }: { config: ModelConfig; tokens: number; feeds: RowFeeds }): TokenGrid {
  const positions = recorder.feed(feeds.positions, 'int32', [tokens, 1]) as Tensor2D;
  const frequencies = rotariesOf(config).map((rotary, index) => {
    const ofRow = rotary.dimensions / 2;
    return [rotary, recorder.feed(feeds.frequencies(index), 'float32', dependsOnLength(rotary) ? [tokens, ofRow] : [ofRow])] as const;
  });
  return {
    inputIds: recorder.feed(feeds.inputIds, 'int32', [tokens]) as Tensor1D,
    positions,
    segments: positions, // a row has one token, so its mask hides nothing
    slots: recorder.feed(feeds.slots, 'int32', [tokens]) as Tensor1D,
    frequencies: new Map(frequencies),
  };
}
