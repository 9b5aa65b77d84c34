/** Rotary position embedding (Su et al. 2021), in the half-split layout of transformers: pair i is (x[i], x[i + headSize/2]). */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { rollLastAxis } from '../native.ts';
import { type Tensor4D, tf } from '../tensorflow.ts';

export interface RotaryTables {
  /** [1, length, 1, headSize] */
  cos: Tensor4D;
  /** [1, length, 1, headSize], negative in the first half */
  sin: Tensor4D;
}

/** The angle each pair turns by from one position to the next. @returns [headSize / 2] */
export function rotaryFrequencies({ headSize, ropeTheta, ropeScaling }: ModelConfig): Float32Array {
  const frequencies = Float32Array.from({ length: headSize / 2 }, (_, i) => 1 / Math.fround(ropeTheta ** ((2 * i) / headSize)));
  if (ropeScaling === null) return frequencies;
  const { factor } = ropeScaling;
  if (ropeScaling.type === 'linear') return frequencies.map((frequency) => frequency / factor);
  const { lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositionTokens } = ropeScaling;
  return frequencies.map((frequency) => {
    const turns = (originalMaxPositionTokens * frequency) / (2 * Math.PI); // within the original context
    if (turns > high) return frequency;
    if (turns < low) return frequency / factor;
    const smooth = (turns - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** @returns tables for positions 0 … length − 1, owned by the caller */
export function rotaryTables(config: ModelConfig, length: number): RotaryTables {
  const frequencies = rotaryFrequencies(config);
  const { headSize } = config;
  const half = headSize / 2;
  const cos = new Float32Array(length * headSize);
  const sin = new Float32Array(length * headSize);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i]!);
      const first = position * headSize + i;
      cos[first] = cos[first + half] = Math.cos(angle);
      sin[first + half] = Math.sin(angle);
      sin[first] = -sin[first + half]!;
    }
  }
  const shape: [number, number, number, number] = [1, length, 1, headSize];
  return { cos: tf.tensor4d(cos, shape), sin: tf.tensor4d(sin, shape) };
}

/**
 * x·cos + rotateHalf(x)·sin. rotateHalf is a roll by half a head; its sign is in the table.
 * @param x [rows, length, heads, headSize]
 */
export function rotate(x: Tensor4D, { cos, sin }: RotaryTables): Tensor4D {
  return tf.add(tf.mul(x, cos), tf.mul(rollLastAxis(x, x.shape[3] / 2), sin));
}

/** The gradient of `rotate`: the same turn backwards. */
export function rotateGradient(dy: Tensor4D, { cos, sin }: RotaryTables): Tensor4D {
  return tf.add(tf.mul(dy, cos), rollLastAxis(tf.mul(dy, sin), dy.shape[3] / 2));
}
