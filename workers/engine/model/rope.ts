/** Rotary position embedding (Su et al. 2021), in the half-split layout of transformers: pair i is (x[i], x[i + dimensions/2]). */
import type { RopeScaling, Rotary } from '../../../src/formats/rotary.ts';
import { rollLastAxis } from '../tensorflow/native.ts';
import { type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';

// A type alias: tf.tidy takes no interface.
export type RotaryTables = {
  /** [rows, length, 1, dimensions] */
  cos: Tensor4D;
  /** [rows, length, 1, dimensions], negative in the first half */
  sin: Tensor4D;
};

/**
 * The angle each pair turns by from one position to the next.
 * @param lengthTokens of the pass: dynamic and LongRoPE scaling depend on it
 * @returns [dimensions / 2]
 */
export function rotaryFrequencies({ theta, dimensions, scaling }: Rotary, lengthTokens = 0): Float32Array {
  const base = scaling?.type === 'dynamic' ? dynamicTheta(theta, dimensions, scaling, lengthTokens) : theta;
  const frequencies = Float32Array.from({ length: dimensions / 2 }, (_, i) => 1 / Math.fround(base ** ((2 * i) / dimensions)));
  switch (scaling?.type) {
    case undefined:
    case 'dynamic':
      return frequencies;
    case 'linear':
      return frequencies.map((frequency) => frequency / scaling.factor);
    case 'llama3':
      return frequencies.map((frequency) => stretchedByLlama3(frequency, scaling));
    case 'yarn': {
      const [first, last] = yarnRange(theta, dimensions, scaling);
      return frequencies.map((frequency, i) => {
        const stretched = Math.min(1, Math.max(0, (i - first) / (last - first)));
        return (frequency / scaling.factor) * stretched + frequency * (1 - stretched);
      });
    }
    case 'longrope': {
      const factors = lengthTokens > scaling.originalMaxPositionTokens ? scaling.longFactors : scaling.shortFactors;
      return frequencies.map((frequency, i) => frequency / Math.fround(factors[i]!));
    }
  }
}

/** How many tokens a row may have before the angles depend on it: examples that share a longer one would change each other. */
export function sharedRowLimit({ scaling }: Rotary): number {
  return scaling?.type === 'dynamic' || scaling?.type === 'longrope' ? scaling.originalMaxPositionTokens : Number.POSITIVE_INFINITY;
}

/** NTK-aware: θ·(s·length/original − (s − 1))^(d / (d − 2)), past the original length. */
function dynamicTheta(theta: number, dimensions: number, scaling: Extract<RopeScaling, { type: 'dynamic' }>, lengthTokens: number): number {
  const { factor, originalMaxPositionTokens: original } = scaling;
  const length = Math.max(lengthTokens, original);
  return theta * ((factor * length) / original - (factor - 1)) ** (dimensions / (dimensions - 2));
}

function stretchedByLlama3(frequency: number, scaling: Extract<RopeScaling, { type: 'llama3' }>): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositionTokens } = scaling;
  const turns = (originalMaxPositionTokens * frequency) / (2 * Math.PI); // within the original context
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const smooth = (turns - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** The pairs between which YaRN goes over from what it leaves to what it stretches: those that turn betaFast and betaSlow times in the original context. */
function yarnRange(theta: number, dimensions: number, scaling: Extract<RopeScaling, { type: 'yarn' }>): [number, number] {
  const { betaFast, betaSlow, truncate, originalMaxPositionTokens } = scaling;
  const pairTurning = (turns: number) => (dimensions * Math.log(originalMaxPositionTokens / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const first = Math.max(0, truncate ? Math.floor(pairTurning(betaFast)) : pairTurning(betaFast));
  const last = Math.min(dimensions - 1, truncate ? Math.ceil(pairTurning(betaSlow)) : pairTurning(betaSlow));
  return first === last ? [first, last + 0.001] : [first, last];
}

/**
 * @param positions   [rows, length] int32, of each token in its own text
 * @param frequencies [dimensions / 2]
 */
export function rotaryTables({ scaling }: Rotary, { positions, frequencies }: { positions: Tensor2D; frequencies: Tensor1D }): RotaryTables {
  const factor = scaling !== null && 'attentionFactor' in scaling ? scaling.attentionFactor : 1;
  const [rows, length] = positions.shape;
  return tf.tidy(() => {
    const angles: Tensor4D = tf.mul(tf.cast(tf.reshape(positions, [rows, length, 1, 1]), 'float32'), tf.reshape(frequencies, [1, 1, 1, -1]));
    const scaled = (x: Tensor4D): Tensor4D => (factor === 1 ? x : tf.mul(x, factor));
    const cos = scaled(tf.cos(angles));
    const sin = scaled(tf.sin(angles));
    return { cos: tf.concat([cos, cos], 3), sin: tf.concat([tf.neg(sin), sin], 3) };
  });
}

/**
 * x·cos + rotateHalf(x)·sin on each head's first elements, the rest as it is. rotateHalf is a roll by half; its sign is in the table.
 * @param x [rows, length, heads, headSize]
 */
export function rotate(x: Tensor4D, { cos, sin }: RotaryTables): Tensor4D {
  return onFirstElements(x, cos.shape[3], (turning) => tf.add(tf.mul(turning, cos), tf.mul(rollLastAxis(turning, cos.shape[3] / 2), sin)));
}

/** The gradient of `rotate`: the same turn backwards. */
export function rotateGradient(dy: Tensor4D, { cos, sin }: RotaryTables): Tensor4D {
  return onFirstElements(dy, cos.shape[3], (turned) => tf.add(tf.mul(turned, cos), rollLastAxis(tf.mul(turned, sin), cos.shape[3] / 2)));
}

function onFirstElements(x: Tensor4D, count: number, turn: (x: Tensor4D) => Tensor4D): Tensor4D {
  const rest = x.shape[3] - count;
  if (rest === 0) return turn(x);
  const [turning, still] = tf.split(x, [count, rest], 3) as [Tensor4D, Tensor4D];
  return tf.concat([turn(turning), still], 3);
}
