/** Rotary positions as a `config.json` describes them, in the form of transformers 4 (`rope_theta`, `rope_scaling`) and of 5 (`rope_parameters`). */
import type { ConfigFields } from './config-fields.ts';
import { isRecord } from './record.ts';

/** How positions are stretched past the length a model was trained with; the formulas are in the engine. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  /** Llama 3.1: low frequencies are stretched, high ones are not, those between are blended. */
  | { type: 'llama3'; factor: number; lowFrequencyFactor: number; highFrequencyFactor: number; originalMaxPositionTokens: number }
  /** NTK-aware (bloc97 2023): the base grows with the length of what is read. */
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
  /** LongRoPE (Ding et al. 2024): a factor a frequency, one set up to the original context and one past it. */
  | { type: 'longrope'; shortFactors: number[]; longFactors: number[]; attentionFactor: number; originalMaxPositionTokens: number };

export interface Rotary {
  theta: number;
  /** The head's first so many elements turn; even. */
  dimensions: number;
  scaling: RopeScaling | null;
}

export interface RotaryDefaults {
  headSize: number;
  maxPositionTokens: number;
  theta: number;
  /** Share of the head that turns. */
  partial?: number;
  /** transformers 4's names. */
  thetaField?: string;
  partialField?: string;
  /** Whether `rope_scaling` of transformers 4 is meant for these layers. */
  scaled?: boolean;
  /** The layers' entry in `rope_parameters`, where it has one for each kind of layer. */
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
  const said = ropeFields(fields, defaults.layerType) ?? (scaled ? fields.within('rope_scaling') : null);
  const theta = said?.value('rope_theta') === undefined ? fields.positive(thetaField, defaults.theta) : said.positive('rope_theta');
  const partial =
    said?.value('partial_rotary_factor') === undefined
      ? fields.positive(partialField, defaults.partial ?? 1)
      : said.positive('partial_rotary_factor');
  const dimensions = Math.trunc(headSize * partial);
  if (dimensions % 2 !== 0 || dimensions < 2 || dimensions > headSize) {
    fields.contradiction(`${dimensions} of the head's ${headSize} elements would turn; rotary positions need pairs`);
  }
  const scaling = said === null ? null : readScaling(fields, said, { ...defaults, dimensions });
  said?.refuseUnread();
  return { theta, dimensions, scaling };
}

/** transformers 5's object, or the one in it for this kind of layer. */
function ropeFields(fields: ConfigFields, layerType: string | undefined): ConfigFields | null {
  const all = fields.within('rope_parameters');
  return layerType !== undefined && isRecord(all?.value(layerType)) ? all.within(layerType) : all;
}

function readScaling(fields: ConfigFields, rope: ConfigFields, given: RotaryDefaults & { dimensions: number }): RopeScaling | null {
  const type = rope.choice(rope.value('rope_type') === undefined && rope.has('type') ? 'type' : 'rope_type', TYPES, 'default');
  rope.value('type');
  // Phi-3 keeps it outside, and that one counts.
  const outside = fields.value('original_max_position_embeddings');
  const inside = rope.natural('original_max_position_embeddings', given.maxPositionTokens);
  const originalMaxPositionTokens = outside === undefined ? inside : fields.natural('original_max_position_embeddings');
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: rope.positive('factor') };
    case 'dynamic':
      return { type, factor: rope.positive('factor'), originalMaxPositionTokens: given.maxPositionTokens };
    case 'llama3': {
      const [lowFrequencyFactor, highFrequencyFactor] = [rope.positive('low_freq_factor'), rope.positive('high_freq_factor')];
      return { type, factor: rope.positive('factor'), lowFrequencyFactor, highFrequencyFactor, originalMaxPositionTokens };
    }
    case 'yarn': {
      const factor = rope.positive('factor', given.maxPositionTokens / originalMaxPositionTokens);
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
      const factor = rope.positive('factor', given.maxPositionTokens / originalMaxPositionTokens);
      const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositionTokens));
      return {
        type,
        shortFactors: rope.numbers('short_factor', given.dimensions / 2),
        longFactors: rope.numbers('long_factor', given.dimensions / 2),
        attentionFactor: rope.positive('attention_factor', usual),
        originalMaxPositionTokens,
      };
    }
  }
}

/** 0.1·ln(s) + 1, or what the file says: the factor itself, or the two `mscale`s whose ratio it is. */
function yarnAttentionFactor(rope: ConfigFields, factor: number): number {
  const temperature = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, allDimensions] = [rope.value('mscale'), rope.value('mscale_all_dim')];
  const usual = mscale && allDimensions ? temperature(rope.positive('mscale')) / temperature(rope.positive('mscale_all_dim')) : temperature(1);
  return rope.positive('attention_factor', usual);
}
