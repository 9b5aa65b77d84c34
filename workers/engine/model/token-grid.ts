import { softmaxLayers } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Rotary } from '../../../src/formats/rotary.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import type { TokenGrid } from './decoder.ts';
import { dependsOnLength, sharedRowLimit } from './rope.ts';
import { rotaryFrequencies } from './rotary-frequencies.ts';

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
export const rotariesOf = (config: Pick<ModelConfig, 'mixers'>): Rotary[] => [
  ...new Set(
    softmaxLayers(config)
      .map(({ rotary }) => rotary)
      .filter((rotary) => rotary !== null),
  ),
];

/** Rows longer than this may hold only one example. */
export const rowLimit = (config: Pick<ModelConfig, 'mixers'>): number => Math.min(...rotariesOf(config).map(sharedRowLimit));

/** The tensors of one pass, owned by the caller. */
export function tokenGrid(content: GridContent, config: Pick<ModelConfig, 'mixers'>): TokenGrid {
  const { rows, length, inputIds, positions, segments } = content;
  const alongRow = positions ?? Int32Array.from(inputIds, (_, index) => index % length);
  return {
    inputIds: tf.tensor1d(inputIds, 'int32'),
    positions: tf.tensor2d(alongRow, [rows, length], 'int32'),
    segments: tf.tensor2d(segments ?? new Int32Array(rows * length), [rows, length], 'int32'),
    frequencies: new Map(rotariesOf(config).map((rotary) => [rotary, frequencies(rotary, content)])),
  };
}

/** @returns [dimensions / 2], or where they depend on the length [rows, dimensions / 2]: those that the row's longest text would have alone */
function frequencies(rotary: Rotary, { rows, length, positions }: GridContent): Tensor {
  if (!dependsOnLength(rotary)) return tf.tensor1d(rotaryFrequencies(rotary));
  const lengths = Array.from({ length: rows }, (_, row) =>
    positions === undefined
      ? length
      : positions.subarray(row * length, (row + 1) * length).reduce((longest, position) => Math.max(longest, position + 1), 0),
  );
  const ofRows = lengths.map((lengthTokens) => rotaryFrequencies(rotary, lengthTokens));
  return tf.tensor2d(Float32Array.from(ofRows.flatMap((ofRow) => [...ofRow])), [rows, rotary.dimensions / 2]);
}
