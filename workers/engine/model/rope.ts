/** Rotary position embedding (Su et al. 2021), in the half-split layout of transformers: pair i is (x[i], x[i + dimensions/2]). */
import type { Rotary } from '../../../src/formats/rotary.ts';
import { rollLastAxis } from '../tensorflow/native.ts';
import { type Tensor, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';

// A type alias, because tf.tidy does not accept an interface.
export type RotaryTables = {
  /** [rows, length, 1, dimensions] */
  cos: Tensor4D;
  /** [rows, length, 1, dimensions], negative for the first of each pair */
  sin: Tensor4D;
  /** `Rotary.interleaved` */
  interleaved: boolean;
  /** What queries are multiplied by, [rows, length, 1, 1]. */
  queryFactors?: Tensor4D;
};

/** The tensors of tables, for a gradient that needs them. */
export const tensorsOf = ({ cos, sin, queryFactors }: RotaryTables): Tensor[] => [cos, sin, ...(queryFactors === undefined ? [] : [queryFactors])];

/** @param tensors of `tensorsOf`, which outlive the tables */
export function withTensors({ interleaved }: RotaryTables, tensors: Tensor[]): RotaryTables {
  const [cos, sin, queryFactors] = tensors as [Tensor4D, Tensor4D, Tensor4D?];
  return { cos, sin, interleaved, ...(queryFactors && { queryFactors }) };
}

/** Whether the angles depend on the length of the text: with dynamic and LongRoPE scaling. */
export const dependsOnLength = ({ scaling }: Rotary): boolean => scaling?.type === 'dynamic' || scaling?.type === 'longrope';

/** Texts up to this length have the same angles, and so may share a row. */
export function sharedRowLimit({ scaling }: Rotary): number {
  return scaling?.type === 'dynamic' || scaling?.type === 'longrope' ? scaling.originalMaxPositionTokens : Number.POSITIVE_INFINITY;
}

/**
 * @param positions   [rows, length] int32, each token's position in its own text
 * @param frequencies [dimensions / 2], or [rows, dimensions / 2] if they depend on the length
 */
export function rotaryTables(rotary: Rotary, { positions, frequencies }: { positions: Tensor2D; frequencies: Tensor }): RotaryTables {
  const { scaling, dimensions } = rotary;
  const factor = scaling !== null && 'attentionFactor' in scaling ? scaling.attentionFactor : 1;
  const [rows, length] = positions.shape;
  return tf.tidy(() => {
    const ofRows = tf.reshape(frequencies, [dependsOnLength(rotary) ? rows : 1, 1, 1, dimensions / 2]);
    const angles: Tensor4D = tf.mul(tf.cast(tf.reshape(positions, [rows, length, 1, 1]), 'float32'), ofRows);
    const scaled = (x: Tensor4D): Tensor4D => (factor === 1 ? x : tf.mul(x, factor));
    const cos = scaled(tf.cos(angles));
    const sin = scaled(tf.sin(angles));
    const interleaved = rotary.interleaved === true;
    const pair = (first: Tensor4D, second: Tensor4D): Tensor4D => (interleaved ? neighbours(first, second) : tf.concat([first, second], 3));
    const queryFactors = rotary.queryScale && queryFactorsOf(positions, rotary.queryScale);
    return { cos: pair(cos, cos), sin: pair(tf.neg(sin), sin), interleaved, ...(queryFactors && { queryFactors }) };
  });
}

/** @param a, b [rows, length, 1, n]. @returns [rows, length, 1, 2·n], of both in turn */
function neighbours(a: Tensor4D, b: Tensor4D): Tensor4D {
  const [rows, length, , n] = a.shape;
  const parts = [a, b].map((part) => tf.reshape(part, [rows, length, n, 1]));
  return tf.reshape(tf.concat(parts, 3), [rows, length, 1, 2 * n]);
}

function queryFactorsOf(positions: Tensor2D, { beta, originalMaxPositionTokens }: NonNullable<Rotary['queryScale']>): Tensor4D {
  const contexts = tf.cast(tf.cast(tf.div(tf.cast(positions, 'float32'), originalMaxPositionTokens), 'int32'), 'float32');
  const factors = tf.add(tf.mul(tf.log(tf.add(contexts, 1)), beta), 1);
  return tf.reshape(factors, [...positions.shape, 1, 1]) as Tensor4D;
}

/** `rotate` of queries, which some models also scale. */
export function rotateQueries(x: Tensor4D, tables: RotaryTables): Tensor4D {
  const rotated = rotate(x, tables);
  return tables.queryFactors === undefined ? rotated : tf.mul(rotated, tables.queryFactors);
}

/** The gradient of `rotateQueries`. */
export const rotateQueriesGradient = (dy: Tensor4D, tables: RotaryTables): Tensor4D =>
  rotateGradient(tables.queryFactors === undefined ? dy : tf.mul(dy, tables.queryFactors), tables);

/**
 * x·cos + swapped(x)·sin on each head's first elements; the others are unchanged. `swapped` exchanges the elements of each pair; its sign is in the table.
 * @param x [rows, length, heads, headSize]
 */
export function rotate(x: Tensor4D, { cos, sin, interleaved }: RotaryTables): Tensor4D {
  return onFirstElements(x, cos.shape[3], (part) => tf.add(tf.mul(part, cos), tf.mul(swapped(part, interleaved), sin)));
}

/** The gradient of `rotate`: the inverse rotation. */
export function rotateGradient(dy: Tensor4D, { cos, sin, interleaved }: RotaryTables): Tensor4D {
  return onFirstElements(dy, cos.shape[3], (part) => tf.add(tf.mul(part, cos), swapped(tf.mul(part, sin), interleaved)));
}

/** A roll by half exchanges halves: of the whole head, or of each two neighbours. */
function swapped(x: Tensor4D, interleaved: boolean): Tensor4D {
  const [rows, length, heads, size] = x.shape;
  if (!interleaved) return rollLastAxis(x, size / 2);
  return tf.reshape(rollLastAxis(tf.reshape(x, [rows * length, heads, size / 2, 2]) as Tensor4D, 1), [rows, length, heads, size]);
}

function onFirstElements(x: Tensor4D, count: number, rotation: (x: Tensor4D) => Tensor4D): Tensor4D {
  const others = x.shape[3] - count;
  if (others === 0) return rotation(x);
  const [first, last] = tf.split(x, [count, others], 3) as [Tensor4D, Tensor4D];
  return tf.concat([rotation(first), last], 3);
}
