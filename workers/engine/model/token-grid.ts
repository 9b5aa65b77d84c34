import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Rotary } from '../../../src/formats/rotary.ts';
import { tf } from '../tensorflow/tensorflow.ts';
import type { TokenGrid } from './decoder.ts';
import { rotaryFrequencies, sharedRowLimit } from './rope.ts';

/** The content of a grid, as plain arrays. */
export interface GridContent {
  rows: number;
  length: number;
  /** [rows, length], row-major, like the others. */
  inputIds: Int32Array;
  /** Each token's position in its text, from 0; missing when each row is one text. */
  positions?: Int32Array;
  /** The index in the row of each token's text; missing when each row is one text. */
  segments?: Int32Array;
}

/** The distinct rotary embeddings of a model's layers. */
export const rotariesOf = ({ attention }: Pick<ModelConfig, 'attention'>): Rotary[] => [
  ...new Set(attention.layers.map(({ rotary }) => rotary).filter((rotary) => rotary !== null)),
];

/** Rows longer than this may hold only one example. */
export const rowLimit = (config: Pick<ModelConfig, 'attention'>): number => Math.min(...rotariesOf(config).map(sharedRowLimit));

/** The tensors of one pass, owned by the caller. With dynamic and LongRoPE scaling the angles depend on the grid's length. */
export function tokenGrid({ rows, length, inputIds, positions, segments }: GridContent, config: Pick<ModelConfig, 'attention'>): TokenGrid {
  const alongRow = positions ?? Int32Array.from(inputIds, (_, index) => index % length);
  return {
    inputIds: tf.tensor1d(inputIds, 'int32'),
    positions: tf.tensor2d(alongRow, [rows, length], 'int32'),
    segments: tf.tensor2d(segments ?? new Int32Array(rows * length), [rows, length], 'int32'),
    frequencies: new Map(rotariesOf(config).map((rotary) => [rotary, tf.tensor1d(rotaryFrequencies(rotary, length))])),
  };
}
