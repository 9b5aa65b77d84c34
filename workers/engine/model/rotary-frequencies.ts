/** How fast the pairs of a head rotate (Su et al. 2021), and the ways of scaling that. */
import type { RopeScaling, Rotary } from '../../../src/formats/rotary.ts';

/**
 * The angle by which each pair rotates from one position to the next.
 * @param lengthTokens length of the text, for which dynamic and LongRoPE scaling choose the angles
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
      return frequencies.map((frequency) => scaledByLlama3(frequency, scaling));
    case 'yarn': {
      const [first, last] = yarnRange(theta, dimensions, scaling);
      return frequencies.map((frequency, i) => {
        const stretched = Math.min(1, Math.max(0, (i - first) / (last - first)));
        return (frequency / scaling.factor) * stretched + frequency * (1 - stretched);
      });
    }
    case 'proportional': {
      const rotated = Math.trunc((scaling.share * dimensions) / 2);
      return frequencies.map((frequency, i) => (i < rotated ? frequency / scaling.factor : 0));
    }
    case 'longrope': {
      const factors = lengthTokens > scaling.originalMaxPositionTokens ? scaling.longFactors : scaling.shortFactors;
      return frequencies.map((frequency, i) => frequency / Math.fround(factors[i]!));
    }
  }
}

/** NTK-aware: θ·(s·length/original − (s − 1))^(d / (d − 2)), past the original length. */
function dynamicTheta(theta: number, dimensions: number, scaling: Extract<RopeScaling, { type: 'dynamic' }>, lengthTokens: number): number {
  const { factor, originalMaxPositionTokens: original } = scaling;
  const length = Math.max(lengthTokens, original);
  return theta * ((factor * length) / original - (factor - 1)) ** (dimensions / (dimensions - 2));
}

function scaledByLlama3(frequency: number, scaling: Extract<RopeScaling, { type: 'llama3' }>): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositionTokens } = scaling;
  const turns = (originalMaxPositionTokens * frequency) / (2 * Math.PI); // full turns within the original context
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const smooth = (turns - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** The pairs between which YaRN blends original into scaled frequencies: those with betaFast and betaSlow full turns within the original context. */
function yarnRange(theta: number, dimensions: number, scaling: Extract<RopeScaling, { type: 'yarn' }>): [number, number] {
  const { betaFast, betaSlow, truncate, originalMaxPositionTokens } = scaling;
  const pairWithTurns = (turns: number) => (dimensions * Math.log(originalMaxPositionTokens / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const first = Math.max(0, truncate ? Math.floor(pairWithTurns(betaFast)) : pairWithTurns(betaFast));
  const last = Math.min(dimensions - 1, truncate ? Math.ceil(pairWithTurns(betaSlow)) : pairWithTurns(betaSlow));
  return first === last ? [first, last + 0.001] : [first, last];
}
