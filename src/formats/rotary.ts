/** Rotary positions as a `config.json` describes them, in the form of transformers 4 (`rope_theta`, `rope_scaling`) and of 5 (`rope_parameters`). */
import type { ConfigFields } from './config-fields.ts';
import { isRecord } from './record.ts';

/** How positions are scaled beyond the length that a model was trained with; the formulas are in the engine. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  /** Llama 3.1: low frequencies are scaled, high ones are not, those in between are blended. */
  | { type: 'llama3'; factor: number; lowFrequencyFactor: number; highFrequencyFactor: number; originalMaxPositionTokens: number }
  /** NTK-aware (bloc97 2023): the base grows with the sequence length. */
  | { type: 'dynamic'; factor: number; originalMaxPositionTokens: number }
  /** YaRN (Peng et al. 2023). */
  | {
      type: 'yarn';
      factor: number;
      attentionFactor: number;
      betaFast: number;
      betaSlow: number;
      truncate: boolean;
      originalMaxPositionTokens: number;
    }
  /** LongRoPE (Ding et al. 2024): one factor per frequency, with one set up to the original context and another beyond it. */
  | { type: 'longrope'; shortFactors: number[]; longFactors: number[]; attentionFactor: number; originalMaxPositionTokens: number };

export interface Rotary {
  theta: number;
  /** How many of a head's elements are rotated, from the first; even. */
  dimensions: number;
  scaling: RopeScaling | null;
}

export interface RotaryDefaults {
  headSize: number;
  maxPositionTokens: number;
  theta: number;
  /** Share of the head that is rotated. */
  partial?: number;
  /** Field names of transformers 4. */
  thetaField?: string;
  partialField?: string;
  /** Whether `rope_scaling` of transformers 4 applies to these layers. */
  scaled?: boolean;
  /** These layers' entry in `rope_parameters`, if it has one per kind of layer. */
  layerType?: string;
}

const TYPES = {
  default: 'default',
  linear: 'linear',
  llama3: 'llama3',
  dynamic: 'dynamic',
  yarn: 'yarn',
  longrope: 'longrope',
  su: 'longrope',
} as const;

export function readRotary(fields: ConfigFields, defaults: RotaryDefaults): Rotary {
  const { headSize, thetaField = 'rope_theta', partialField = 'partial_rotary_factor', scaled = true } = defaults;
  const rope = ropeFields(fields, defaults.layerType) ?? (scaled ? fields.nested('rope_scaling') : null);
  const theta = rope?.value('rope_theta') === undefined ? fields.positive(thetaField, defaults.theta) : rope.positive('rope_theta');
  const partial =
    rope?.value('partial_rotary_factor') === undefined
      ? fields.positive(partialField, defaults.partial ?? 1)
      : rope.positive('partial_rotary_factor');
  const dimensions = Math.trunc(headSize * partial);
  if (dimensions % 2 !== 0 || dimensions < 2 || dimensions > headSize) {
    fields.contradiction(`${dimensions} of the head's ${headSize} elements would be rotated; rotary positions need pairs`);
  }
  const scaling = rope === null ? null : readScaling(fields, rope, { ...defaults, dimensions });
  rope?.refuseUnread();
  return { theta, dimensions, scaling };
}

/** The `rope_parameters` of transformers 5, or its entry for this kind of layer. */
function ropeFields(fields: ConfigFields, layerType: string | undefined): ConfigFields | null {
  const all = fields.nested('rope_parameters');
  return layerType !== undefined && isRecord(all?.value(layerType)) ? all.nested(layerType) : all;
}

function readScaling(fields: ConfigFields, rope: ConfigFields, defaults: RotaryDefaults & { dimensions: number }): RopeScaling | null {
  const type = rope.choice(rope.value('rope_type') === undefined && rope.has('type') ? 'type' : 'rope_type', TYPES, 'default');
  rope.value('type');
  // Phi-3 has it at the top level, which takes precedence.
  const outside = fields.value('original_max_position_embeddings');
  const inside = rope.natural('original_max_position_embeddings', defaults.maxPositionTokens);
  const originalMaxPositionTokens = outside === undefined ? inside : fields.natural('original_max_position_embeddings');
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: rope.positive('factor') };
    case 'dynamic':
      return { type, factor: rope.positive('factor'), originalMaxPositionTokens: defaults.maxPositionTokens };
    case 'llama3': {
      const [lowFrequencyFactor, highFrequencyFactor] = [rope.positive('low_freq_factor'), rope.positive('high_freq_factor')];
      return { type, factor: rope.positive('factor'), lowFrequencyFactor, highFrequencyFactor, originalMaxPositionTokens };
    }
    case 'yarn': {
      const factor = rope.positive('factor', defaults.maxPositionTokens / originalMaxPositionTokens);
      return {
        type,
        factor,
        attentionFactor: yarnAttentionFactor(rope, factor),
        betaFast: rope.positive('beta_fast', 32),
        betaSlow: rope.positive('beta_slow', 1),
        truncate: rope.flag('truncate', true),
        originalMaxPositionTokens,
      };
    }
    case 'longrope': {
      const factor = rope.positive('factor', defaults.maxPositionTokens / originalMaxPositionTokens);
      const fallback = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositionTokens));
      return {
        type,
        shortFactors: rope.numbers('short_factor', defaults.dimensions / 2),
        longFactors: rope.numbers('long_factor', defaults.dimensions / 2),
        attentionFactor: rope.positive('attention_factor', fallback),
        originalMaxPositionTokens,
      };
    }
  }
}

/** 0.1·ln(s) + 1, unless the file gives the factor itself or the two `mscale`s whose ratio it is. */
function yarnAttentionFactor(rope: ConfigFields, factor: number): number {
  const temperature = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, allDimensions] = [rope.value('mscale'), rope.value('mscale_all_dim')];
  const fallback = mscale && allDimensions ? temperature(rope.positive('mscale')) / temperature(rope.positive('mscale_all_dim')) : temperature(1);
  return rope.positive('attention_factor', fallback);
}
